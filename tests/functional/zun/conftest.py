# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

# The Docker daemon is the integration suite's.
sys.path.append(str(Path(__file__).parents[2] / "integration"))

import dockerd as dockerd_module

#: With Zun 17, which does not run with SQLAlchemy 2; the engine does not run with SQLAlchemy 1.
collect_ignore = (
    ["test_scheduling.py", "test_zun_orders.py"] if sqlalchemy.__version__.startswith("1.") else []
)


@pytest.fixture(scope="session")
def dockerd() -> Iterator[dockerd_module.Dockerd]:
    reason = dockerd_module.why_not()
    if reason is not None:
        pytest.skip(reason)
    # Not pytest's directory: its long name would not fit into the sockets' addresses.
    directory = Path(tempfile.mkdtemp(prefix="hs-dockerd-"))
    # Zun cannot read what Docker tells of vfs. Zun 17 asks for no namespace that others may join, and its capsules need one.
    daemon = dockerd_module.Dockerd(directory, "overlay2", {"default-ipc-mode": "shareable"})
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(directory, ignore_errors=True)
