# SPDX-License-Identifier: Apache-2.0
"""Waiting of threads, on files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import write

from hybrid_sched.monitors import waits as waits_module
from hybrid_sched.monitors.waits import ThreadWaits

_S = 1_000_000_000


class Threads:
    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.group = root / "group"
        write(self.proc / "self" / "schedstat", "1 2 3\n")
        self.waits = ThreadWaits(self.proc)

    def wait_s(self, container_id: str = "c", **waited_s: float | None) -> float:
        """Look while the threads are these; None for one that goes between the list and the question."""
        numbers = {name.removeprefix("t"): seconds for name, seconds in waited_s.items()}
        write(self.group / "tasks", "".join(f"{number}\n" for number in numbers))
        for number, seconds in numbers.items():
            file = self.proc / number / "schedstat"
            if seconds is None:
                file.unlink(missing_ok=True)
            else:
                write(file, f"5 {round(seconds * _S)} 3\n")
        return self.waits.wait_s(container_id, self.group)


@pytest.fixture
def threads(tmp_path: Path) -> Threads:
    return Threads(tmp_path)


def test_waiting_of_threads_that_end_stays_counted(threads: Threads) -> None:
    assert threads.wait_s(t1=1, t2=2) == 3
    assert threads.wait_s(t1=1.5, t3=1) == 4.5
    assert threads.wait_s(t3=None) == 4.5


def test_a_number_that_is_given_to_another_thread_begins_anew(threads: Threads) -> None:
    threads.wait_s(t1=5)
    assert threads.wait_s(t1=2) == 7


def test_each_container_has_its_own_counter_until_it_is_forgotten(threads: Threads) -> None:
    threads.wait_s("a", t1=5)
    assert threads.wait_s("b", t2=1) == 1
    threads.waits.keep({"b"})
    assert threads.wait_s("b", t2=2) == 2
    assert threads.wait_s("a", t1=6) == 6


def test_a_container_with_too_many_threads_is_left_out(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits_module, "MOST_THREADS", 1)
    with pytest.raises(LookupError, match="2 threads"):
        threads.wait_s(t1=1, t2=1)


def test_a_kernel_that_does_not_count_tells_no_zero(threads: Threads) -> None:
    (threads.proc / "self" / "schedstat").unlink()
    with pytest.raises(FileNotFoundError):
        threads.wait_s(t1=None)
