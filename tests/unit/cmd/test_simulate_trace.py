# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json

import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.decisions import DecisionStore, StoredDecision
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.rpc.messages import decision_to_wire

DEMAND = Resources(2, 1024)


@pytest.fixture
def call(capsys):
    def run(*arguments):
        code = simulate.main(list(arguments))
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def kept(tmp_path):
    """A database with an hour of two queued guests and a container that was refused once."""
    url = f"sqlite:///{tmp_path / 'kept.sqlite'}"
    database = Database(url)
    database.sync()
    term = Terms(database).begin("test", 1.0)
    store = TaskStore(database)
    guests = [
        QueuedTask(f"uuid-{n}", f"name-{n}", HYPERVISOR, DEMAND, submitted_at_s=10.0 + n)
        for n in range(2)
    ]
    store.add(guests, term)
    for n, task in enumerate(store.list()):
        ran = QueuedTask(
            **{
                **{name: getattr(task, name) for name in QueuedTask.__slots__},
                "state": TaskState.DONE,
                "host": "real-name",
                "server": f"server-{n}",
                "started_at_s": 20.0 + 600 * n,
                "ended_at_s": 620.0 + 600 * n,
            }
        )
        assert store.update(ran, TaskState.WAITING, term)
    steps = [
        Decision("c", CONTAINER, DEMAND, Stage.SHARE_GATE, 30.0, 1, 0.0, refused_by_share=True),
        Decision("c", CONTAINER, DEMAND, Stage.CLAIMED, 1300.0, 1, 0.0, hosts=("real-name",)),
    ]
    DecisionStore(database, 9).put_many(
        [StoredDecision(*each.key, json.dumps(decision_to_wire(each))) for each in steps]
        + [StoredDecision("odd", 40.0, "order", "{}")],
        term,
    )
    WeightStore(database).set("", HYPERVISOR, 2)
    database.close()
    (tmp_path / "hosts.csv").write_text("id,vcpu,memory_mb\nreal-name,2,4096\nother,2,4096\n")
    (tmp_path / "kept.conf").write_text(f"[database]\nconnection = {url}\n")
    return [
        *("--config-file", str(tmp_path / "kept.conf")),
        *("--hosts", str(tmp_path / "hosts.csv")),
    ]


def test_what_was_kept_is_exported_and_replayed(kept, call, tmp_path):
    path = tmp_path / "trace.json"
    code, _, err = call("export", *kept, "--from", "0", "--to", "3600", "--output", str(path))
    assert code == 0, err
    assert "a decision of 40 is left out" in err
    trace = json.loads(path.read_text())
    assert trace["weights"] == {"hypervisor": 2, "container": 1}
    assert [task["refusals"] for task in trace["tasks"]] == [0, 0, 1]
    assert "real-name" not in path.read_text()
    code, out, err = call("replay", str(path), "--policy", "paper", "--exact", "-f", "json")
    assert code == 0, err
    was, would = json.loads(out)
    assert (was["policy"], was["weights"], was["refused"]) == ("recorded", "2:1", 2)
    # The second host was there all the time.
    assert would["refused"] == 1
    assert would["wait_mean_s"] < was["wait_mean_s"]
    # Hindsight lets the second guest wait, so that the container, which lasts longest, may begin at once.
    assert would["over_optimum"] == pytest.approx(2900 / 2320, abs=1e-3)
    assert was["over_optimum"] == pytest.approx(3590 / 2320, abs=1e-3)
    again = call("export", *kept, "--from", "1970-01-01T00:00:00", "--to", "1970-01-01T01:00+00:00")
    assert again[1] == path.read_text()


def test_other_weights_and_formats(kept, call, tmp_path):
    path = str(tmp_path / "trace.json")
    call("export", *kept, "--from", "0", "--to", "3600", "--output", path)
    code, out, _ = call("replay", path, "--policy", "paper", "--weights", "1:3/2", "-f", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["policy"], row["weights"]) for row in rows] == [
        ("recorded", "1:3/2"),
        ("paper", "1:3/2"),
    ]
    code, out, _ = call("replay", path)
    assert code == 0
    assert "recorded" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "x", "--to", "2"), "--from: 'x' is no time"),
        (("--from", "2", "--to", "2"), "--to: it is not after --from"),
        (("--from", "9000", "--to", "9001", "--config-file", "/gone"), "The database is not known"),
        (("--from", "0", "--to", "9", "--hosts", "/gone"), "cannot read /gone"),
        (("--from", "0", "--to", "3600", "--output", "/gone/x"), "cannot write /gone/x"),
    ],
)
def test_an_export_that_cannot_be_made_is_said(kept, call, options, said):
    code, out, err = call("export", *kept, *options)
    assert (code, out) == (2, "")
    assert said in err


def test_a_database_without_tables_is_left_as_it_is(kept, call, tmp_path):
    (tmp_path / "kept.conf").write_text(
        f"[database]\nconnection = sqlite:///{tmp_path}/no.sqlite\n"
    )
    code, _, err = call("export", *kept, "--from", "0", "--to", "9")
    assert code == 2
    assert "hybrid-sched-manage db sync" in err
    assert not (tmp_path / "no.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--weights", "1"), "--weights: '1' is not two numbers"),
        (("--weights", "1:x"), "--weights: 'x' is not a number"),
        (("--weights", "1:0"), "--weights: '1:0' is not two numbers above 0"),
        (("--policy", "gone"), "there is no policy 'gone'"),
        (("--patience", "nan"), "--patience: nan"),
        (("--effort", "0"), "--effort: 0.0"),
    ],
)
def test_a_replay_that_cannot_be_made_is_said(kept, call, tmp_path, options, said):
    path = str(tmp_path / "trace.json")
    call("export", *kept, "--from", "0", "--to", "3600", "--output", path)
    code, out, err = call("replay", path, *options)
    assert (code, out) == (2, "")
    assert said in err
