# SPDX-License-Identifier: Apache-2.0
"""The lab that is up; these tests run inside its control plane's namespace (``make test-lab``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import demo
from lab.cloud import Cloud
from lab.layout import Lab, saved_lab


@pytest.fixture(scope="session")
def lab() -> Lab:
    lab = saved_lab()
    if lab is None:
        pytest.fail("There is no lab: run 'make test-lab', which starts it.")
    return lab


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab)


@pytest.fixture
def empty_cloud(lab: Lab, cloud: Cloud) -> Iterator[Cloud]:
    """Give the cloud without what others placed, and with the first weights."""
    demo.remove_all(lab, cloud)
    yield cloud
    demo.remove_all(lab, cloud)


@pytest.fixture
def openstack(lab: Lab) -> Callable[..., Any]:
    """Give the real client; it answers with what the client printed as JSON."""

    def run(*words: str) -> Any:
        done = subprocess.run(
            ["openstack", *words],
            env={**os.environ, **lab.client_environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "json" in words else done.stdout

    return run


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Show figures that a test measured, whether it passes or not."""

    def show(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {text}\n")

    return show
