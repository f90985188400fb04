# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from agents import conf

from hybrid_sched.agent.watching import Watching
from hybrid_sched.interfaces.watcher import Happening, Kind, Watcher, WatchError

LISTENING = Happening(Kind.LISTENING)


class Script(Watcher):
    """A watcher that does one thing after another: tells, or fails; then it waits."""

    def __init__(self, *steps: Happening | Exception) -> None:
        super().__init__(conf())
        self._steps: Iterator[Happening | Exception] = iter(steps)
        self.done = threading.Event()

    def watch(self, tell: Callable[[Happening], None], stopping: threading.Event) -> None:
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            tell(step)
        self.done.set()
        stopping.wait()


def listen(*watchers: Script) -> tuple[int, list[str]]:
    """Listen until all have done all, and give how often something changed, and who was killed."""
    changes: list[None] = []
    killed: list[str] = []
    named = [(f"w{number}", watcher) for number, watcher in enumerate(watchers)]
    watching = Watching(named, lambda: changes.append(None), killed.append, first_pause_s=0.01)
    watching.start()
    try:
        for watcher in watchers:
            assert watcher.done.wait(20)
    finally:
        watching.stop(20)
    return len(changes), killed


def test_what_changes_and_every_start_of_listening_leads_to_a_pass() -> None:
    told = [LISTENING, Happening(Kind.CHANGED, "a")]
    assert listen(Script(*told), Script(LISTENING)) == (3, [])


def test_who_is_killed_for_its_memory_is_told_and_leads_to_no_pass() -> None:
    told = [LISTENING, *[Happening(Kind.OOM_KILL, "b")] * 5]
    assert listen(Script(*told)) == (1, ["b"] * 5)


def test_a_watcher_that_fails_is_started_again_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    gone = WatchError("gone.")
    assert listen(Script(gone, gone, LISTENING, gone, LISTENING)) == (2, [])
    assert [record.message for record in caplog.records] == [
        "Watcher w0 failed and is started again: gone.",
        "Watcher w0 listens again.",
        "Watcher w0 failed and is started again: gone.",
        "Watcher w0 listens again.",
    ]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyError("x")])
def test_a_watcher_with_a_fault_of_its_own_is_started_again(error: Exception) -> None:
    assert listen(Script(LISTENING, error, LISTENING)) == (2, [])
