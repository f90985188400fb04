# SPDX-License-Identifier: Apache-2.0
"""The suite runs on this machine, and once more inside a guest whose kernel has the other version of control groups."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# What starts Docker and libvirt is the integration suite's.
sys.path.append(str(Path(__file__).parents[1] / "integration"))

import dockerd as dockerd_module
import kernel
import table
from containers import Site
from dockerd import Dockerd
from table import Cell

#: Where this run's cells go; the run inside the guest is told another file.
RESULTS = Path(os.environ.get("HYBRID_ISOLATION_RESULTS", ".bench/isolation.json"))
_cells = pytest.StashKey[list[Cell]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_cells] = []


@pytest.fixture(scope="session")
def cells(pytestconfig: pytest.Config) -> list[Cell]:
    """Give the cells of the table; each is in it as measured, whether or not it holds."""
    return pytestconfig.stash[_cells]


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    reason = dockerd_module.why_not()
    if reason is not None:
        pytest.skip(reason)
    # Not pytest's directory: its long name would not fit into the sockets' addresses.
    directory = Path(tempfile.mkdtemp(prefix="hs-isolation-"))
    (directory / "docker").mkdir()
    daemon = Dockerd(directory / "docker")
    disk = kernel.LoopDisk(96)
    try:
        with kernel.mounted(disk, directory / "volume") as volume:
            try:
                daemon.start()
                yield Site(daemon, disk, volume)
            finally:
                daemon.stop()
    finally:
        disk.detach()
        shutil.rmtree(directory, ignore_errors=True)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    cells = config.stash[_cells]
    if cells:
        table.save(cells, RESULTS)
        terminalreporter.section(f"isolation, also in {RESULTS}")
        for line in table.lines(cells):
            terminalreporter.write_line(line)
