# SPDX-License-Identifier: Apache-2.0
"""The simulator's commands in the documents end well and tell JSON where they say so, on input that is small."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.decisions import DecisionStore, StoredDecision
from hybrid_sched.db.terms import Terms
from hybrid_sched.rpc.messages import decision_to_wire
from lab.documented import SOURCE, Command, commands, pages

PROGRAM = "hybrid-sched-simulate"
#: They take from ten seconds to minutes, and have no input: `make experiments` runs them.
TOO_LONG = "table2"
OF_PAGES = {
    page.stem: typed
    for page in pages()
    if (typed := [it for it in commands(page) if it.whole and it.words[0] == PROGRAM])
}
_MADE = SOURCE / "reference" / "experiments"
_LOAD = {f"g{n:02}": [10 + 35 * (n % 4 == 0)] * 60 for n in range(16)}
_LOADS = {
    **{f"20110303/{name}": "\n".join(map(str, load)) for name, load in _LOAD.items()},
    **dict.fromkeys(
        ("load.csv", "use.csv"),
        "".join(f"{name},{','.join(map(str, load))}\n" for name, load in _LOAD.items()),
    ),
}
_SHAPES = "id,kind,vcpu,memory_mb,arrival_s,duration_s\n"
_HOSTS = {"hosts.csv": "id,vcpu,memory_mb\n" + "".join(f"n{n},64,131072\n" for n in range(3))}
#: Files that each sub-command finds, where none before it on the page has made them.
INPUT = {
    "pack": {
        "tasks.csv": "id,vcpu,memory_mib\nweb-1,2000,4096\ndb-1,8000,32768\n",
        "hosts.csv": "id,vcpu,memory_mib\nn1,9000,32768\nn2,9000,32768\n",
    },
    "run": {
        **_HOSTS,
        "tasks.csv": f"{_SHAPES}g1,guest,4,8192,0,7200\nc2,container,1,1024,40,900\n",
    },
    "convert": {
        "openb_node_list_all_node.csv": "sn,cpu_milli,memory_mib\nn1,32000,262144\nn2,32000,262144\n",
        "openb_pod_list_default.csv": "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
        "creation_time,deletion_time,scheduled_time\np1,12000,16384,1,1000,,LS,Running,0,500,20\n",
    },
    "rebalance": _LOADS,
    "overcommit": _LOADS,
    "overcommit-plot": {"overcommit.csv": (_MADE / "overcommit.csv").read_text()},
    "plot": {"means.csv": (_MADE / "table2.csv").read_text()},
    "export": _HOSTS,
    "replay": {},
}
MAKES = {"convert": {"hosts.csv", "tasks.csv"}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose configuration names a database with one container of the week that is exported."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'kept.sqlite'}"
    (tmp_path / ".hybrid-sched").mkdir()
    (tmp_path / ".hybrid-sched" / "hybrid-sched.conf").write_text(
        f"[database]\nconnection = {url}\n"
    )
    database = Database(url)
    database.sync()
    at_s = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    claimed = Decision(
        *("c", CONTAINER, Resources(2, 1024), Stage.CLAIMED, at_s, 1, 0.0), hosts=("n1",)
    )
    DecisionStore(database, 9).put_many(
        [StoredDecision(*claimed.key, json.dumps(decision_to_wire(claimed)))],
        Terms(database).begin("test", 1.0),
    )
    database.close()
    return tmp_path


@pytest.mark.parametrize("page", OF_PAGES)
def test_the_commands_of_a_page_end_well(
    page: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: set[str] = set()
    for command in OF_PAGES[page]:
        sub = command.words[1]
        if sub == TOO_LONG:
            continue
        for name, text in INPUT[sub].items():
            if name not in made:
                (home / name).parent.mkdir(exist_ok=True)
                (home / name).write_text(text)
        assert simulate.main(command.words[1:]) == 0, capsys.readouterr().err
        said = capsys.readouterr().out
        if told_as_json(command):
            json.loads(said)
        made |= MAKES.get(sub, set())


def told_as_json(command: Command) -> bool:
    return ("-f", "json") in itertools.pairwise(command.words)
