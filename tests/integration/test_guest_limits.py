# SPDX-License-Identifier: Apache-2.0
"""How long its CPU limits held a guest back: control groups as libvirt makes them, of a real kernel, with a busy process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from hybrid_sched.monitors.cgroup import throttled_s_of_guest

_MOUNT = Path("/sys/fs/cgroup")
_LOAD = Path(__file__).with_name("load.py")


@pytest.fixture
def guest() -> Iterator[Path]:
    """Give the folder of a guest with one virtual CPU; it and all below ends with the test."""
    first = (_MOUNT / "cpu").is_dir()
    controllers = _MOUNT / "cgroup.subtree_control"
    if os.geteuid() != 0 or not (
        first or (controllers.exists() and "cpu" in controllers.read_text())
    ):
        pytest.skip("only root can make groups of the cpu controller, where it is on")
    made = (_MOUNT / "cpu" if first else _MOUNT) / f"hybrid-test-guest-{os.getpid()}"
    made.mkdir()
    try:
        if not first:
            (made / "cgroup.subtree_control").write_text("+cpu")
        for name in ("emulator", "vcpu0"):
            (made / name).mkdir()
        yield made
    finally:
        for group in (made / "emulator", made / "vcpu0", made):
            group.rmdir()


@pytest.fixture
def busy(guest: Path) -> Iterator[int]:
    """Give a process that wants a whole CPU, in the emulator's group."""
    process = subprocess.Popen([sys.executable, str(_LOAD), "burn"])
    (guest / "emulator" / "cgroup.procs").write_text(str(process.pid))
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def limit(group: Path) -> None:
    """Let a group have a tenth of a CPU."""
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text("10000 100000")
    else:
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("10000")


@pytest.mark.parametrize("limited", ["emulator", "."])
def test_a_limit_on_any_group_of_a_guest_is_seen(limited: str, guest: Path, busy: int) -> None:
    assert throttled_s_of_guest(busy) == 0
    limit(guest / limited)
    wait_until(lambda: (throttled_s_of_guest(busy) or 0) > 0.2, "it is held back")
