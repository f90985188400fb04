# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.conf import coordination as options
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.terms import Terms
from hybrid_sched.quota.leadership import Leadership

_LIMIT_S = 30
#: Another engine on this machine, which leads until it is killed.
_CANDIDATE = """
import sys, threading
from oslo_config import cfg
from hybrid_sched.conf import coordination
from hybrid_sched.db import Database
from hybrid_sched.db.terms import Terms
from hybrid_sched.quota.leadership import Leadership

conf = cfg.ConfigOpts()
coordination.register(conf)
conf([], default_config_files=[])
for name, value in (("backend_url", sys.argv[1]), ("member_id", "other")):
    conf.set_override(name, value, group="coordination")
leadership = Leadership(conf, Terms(Database(sys.argv[2])))
print(leadership.campaign(threading.Event()), flush=True)
sys.stdin.read()
"""


class Waits(threading.Event):
    """Whether to stop; each wait is counted, and the last one stops the campaign."""

    def __init__(self, attempts: int) -> None:
        super().__init__()
        self._left = attempts

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        if self._left <= 0:
            self.set()
        return self.is_set()


class Election:
    """A place for candidates, each as in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.backend_url = f"file://{folder}/coordination"
        self.database_url = f"sqlite:///{folder}/test.sqlite"
        self.database = Database(self.database_url)
        self.database.sync()
        self.terms = Terms(self.database)
        self.candidates: list[Leadership] = []

    def candidate(self, name: str, **changes: Any) -> Leadership:
        conf = cfg.ConfigOpts()
        conf.register_opts(options.OPTIONS, group=cfg.OptGroup("coordination"))
        conf([], default_config_files=[])
        values = {"backend_url": self.backend_url, "member_id": name, "election_period_s": 0.05}
        for option, value in {**values, **changes}.items():
            conf.set_override(option, value, group="coordination")
        self.candidates.append(Leadership(conf, self.terms))
        return self.candidates[-1]

    def start_other(self) -> subprocess.Popen[str]:
        """Start another engine, which waits to lead and then does so until it ends."""
        return subprocess.Popen(
            [sys.executable, "-c", _CANDIDATE, self.backend_url, self.database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def election(tmp_path: Path) -> Iterator[Election]:
    made = Election(tmp_path)
    yield made
    for candidate in made.candidates:
        candidate.resign()
    made.database.close()


def campaign(candidate: Leadership, attempts: int = 1) -> int | None:
    """Let a candidate try so often."""
    return candidate.campaign(Waits(attempts))


def test_one_of_two_leads_and_the_other_follows_with_a_greater_term(election: Election) -> None:
    first, second = election.candidate("first"), election.candidate("second")
    assert campaign(first) == 1
    assert first.holds(1)
    assert campaign(second, attempts=3) is None
    assert (first.holds(1), second.holds(1)) == (True, False)
    # A term is begun by who leads alone.
    assert election.terms.newest() == 1
    first.resign()
    assert not first.holds(1)
    assert campaign(second) == 2
    assert (first.holds(1), second.holds(2), second.holds(1)) == (False, True, False)
    assert campaign(first) is None
    second.resign()
    assert campaign(first) == 3


def test_a_standby_follows_once_the_leader_resigns(election: Election) -> None:
    first, second = election.candidate("first"), election.candidate("second")
    campaign(first)
    terms: list[int | None] = []
    stopping = threading.Event()
    waiting = threading.Thread(target=lambda: terms.append(second.campaign(stopping)))
    waiting.start()
    try:
        first.resign()
        waiting.join(_LIMIT_S)
        assert terms == [2]
    finally:
        stopping.set()
        waiting.join(_LIMIT_S)


def test_an_engine_that_is_killed_leaves_its_place_to_the_next(election: Election) -> None:
    other = election.start_other()
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        standby = election.candidate("standby")
        assert campaign(standby, attempts=2) is None
        other.kill()
        other.wait(_LIMIT_S)
        assert campaign(standby) == 2
        assert standby.holds(2)
    finally:
        other.kill()
        other.communicate()


def test_a_leader_whose_term_is_not_the_newest_leads_no_more(election: Election) -> None:
    leader = election.candidate("leader")
    campaign(leader)
    # Its lock was lost without a word, for example over a pause.
    election.terms.begin("other", 0.0)
    assert not leader.holds(1)


def test_whether_it_leads_is_not_known_without_the_database(election: Election) -> None:
    leader = election.candidate("leader")
    campaign(leader)
    election.database.write(lambda connection: connection.exec_driver_sql("DROP TABLE terms"))
    with pytest.raises(DatabaseError):
        leader.holds(1)


def test_waiting_ends_when_told_to_stop(election: Election) -> None:
    stopping = threading.Event()
    stopping.set()
    assert election.candidate("first").campaign(stopping) is None
    assert election.terms.newest() == 0


@pytest.mark.parametrize(
    "backend_url",
    [
        "file:///dev/null/coordination",
        "unknown://localhost",
        "etcd3+http://127.0.0.1:1",
        "mysql://nobody:secret@127.0.0.1:1/hybrid",
    ],
)
def test_a_backend_that_cannot_be_used_is_said_once_and_tried_again(
    election: Election, caplog: pytest.LogCaptureFixture, backend_url: str
) -> None:
    candidate = election.candidate("first", backend_url=backend_url)
    assert campaign(candidate, attempts=3) is None
    (said,) = [record.getMessage() for record in caplog.records if record.name.endswith("ership")]
    assert said.startswith("No leader can be elected through [coordination] backend_url: ")
    assert "secret" not in caplog.text
    assert election.terms.newest() == 0


def test_a_backend_that_comes_back_is_used(
    election: Election, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    place = tmp_path / "coordination"
    place.write_text("in the way")

    class Clears(Waits):
        def wait(self, timeout: float | None = None) -> bool:
            place.unlink()
            return super().wait(timeout)

    assert election.candidate("first").campaign(Clears(attempts=3)) == 1
    assert caplog.text.count("No leader can be elected") == 1


def test_without_the_database_nobody_leads_and_the_place_is_left_free(
    election: Election, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    election.terms = Terms(Database(f"sqlite:///{tmp_path}/none/none.sqlite"))
    cut_off = election.candidate("cut off")
    assert campaign(cut_off, attempts=3) is None
    assert caplog.text.count("No term can be begun: The database ") == 1
    election.terms = Terms(election.database)
    assert campaign(election.candidate("other")) == 1


def test_a_standby_says_once_that_it_waits(
    election: Election, caplog: pytest.LogCaptureFixture
) -> None:
    leader, standby = election.candidate("leader"), election.candidate("standby")
    campaign(leader)
    campaign(standby, attempts=4)
    assert caplog.text.count("Another engine leads; standing by.") == 1
