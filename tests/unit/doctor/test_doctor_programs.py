# SPDX-License-Identifier: Apache-2.0
"""Versions of services that really run, from environments of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybrid_sched.doctor import programs


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Path]:
    """Give an environment from which a nova-compute runs."""
    metadata = tmp_path / "lib/python3.11/site-packages/nova-33.0.7.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: nova\nVersion: 33.0.7\n")
    script = tmp_path / "bin" / "nova-compute"
    script.parent.mkdir()
    script.write_text("print('up', flush=True)\nimport time\ntime.sleep(600)\n")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield tmp_path
        process.kill()


def test_the_version_is_that_of_the_environment_that_a_service_runs_from(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Others of the same name may run on this machine.
    process_iter = programs.psutil.process_iter
    own = str(environment)

    def of_the_test(attributes: list[str]) -> Iterator[object]:
        return (
            each for each in process_iter(attributes) if own in " ".join(each.info["cmdline"] or ())
        )

    monkeypatch.setattr(programs.psutil, "process_iter", of_the_test)
    assert programs.installed_versions() == {"nova": "33.0.7"}


def test_without_services_there_are_no_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.psutil, "process_iter", lambda _attributes: [])
    assert programs.installed_versions() == {}
