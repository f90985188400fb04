# SPDX-License-Identifier: Apache-2.0
import copy
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid_sched.cmd import simulate

GOLDEN = Path(__file__).parents[2] / "data" / "golden.json"
CASES = json.loads(GOLDEN.read_text())


def solve(document, monkeypatch, capsys):
    text = document if isinstance(document, str) else json.dumps(document)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    code = simulate.main(["solve", "-"])
    output = capsys.readouterr()
    return code, output.out, output.err


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_golden_cases_hold_to_the_letter(case, monkeypatch, capsys):
    code, out, err = solve([case], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert json.loads(out) == [{"id": case["id"], "result": case["expect"]}]


def test_expect_may_be_absent(monkeypatch, capsys):
    bare = [{k: v for k, v in case.items() if k not in ("expect", "note")} for case in CASES]
    code, out, _ = solve(bare, monkeypatch, capsys)
    assert code == 0
    assert [r["result"] for r in json.loads(out)] == [case["expect"] for case in CASES]


def test_reclaim_gives_a_list(monkeypatch, capsys):
    case = {
        "id": 1,
        "op": "reclaim",
        "E": [10],
        "frameworks": [{"d": [1], "used": 8, "want": 8}, {"d": [1], "used": "1/2", "want": 6}],
    }
    code, out, _ = solve([case], monkeypatch, capsys)
    assert code == 0
    assert json.loads(out)[0]["result"] == [
        {"entitled": 5, "borrowed": 3, "owed": 0},
        {"entitled": 5, "borrowed": 0, "owed": "9/2"},
    ]


def changed(case_id, path, value):
    """A golden case with one field set to something else, or taken out."""
    case = copy.deepcopy(next(case for case in CASES if case["id"] == case_id))
    target = case
    for step in path[:-1]:
        target = target[step]
    if value is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return case


@pytest.mark.parametrize(
    ("case", "field"),
    [
        (changed("W1", ["op"], "sort"), "op"),
        (changed("W1", ["op"], ...), "op"),
        (changed("W1f", ["E"], ...), "E"),
        (changed("W1f", ["E"], []), "E"),
        (changed("W1f", ["frameworks"], {}), "frameworks"),
        (changed("W1f", ["frameworks", 0], 3), "frameworks[0]"),
        (changed("W1f", ["frameworks", 0, "d"], [1]), "frameworks[0].d"),
        (changed("W1f", ["frameworks", 1, "d", 0], -1), "frameworks[1].d[0]"),
        (changed("W1f", ["frameworks", 1, "d", 0], True), "frameworks[1].d[0]"),
        (changed("W1f", ["frameworks", 1, "d", 0], "1/0"), "frameworks[1].d[0]"),
        (changed("W2f", ["frameworks", 0, "phi"], 0), "frameworks[0].phi"),
        (changed("W2f", ["frameworks", 0, "phi"], None), "frameworks[0].phi"),
        (changed("W4f", ["frameworks", 0, "cap"], "x"), "frameworks[0].cap"),
        (changed("W5", ["hosts", 1, "score"], 2), "hosts[1].score"),
        (changed("W5", ["hosts", 1, "cap"], [1]), "hosts[1].cap"),
        (changed("W5", ["E"], [1, 2]), "E"),
        (changed("W5", ["opts", "place"], "best"), "opts.place"),
        (changed("W5", ["opts", "strict"], "no"), "opts.strict"),
        (changed("W5", ["frameworks", 0, "tasks", 2], [1, 2, 3]), "frameworks[0].tasks[2]"),
        (changed("W5", ["frameworks", 0, "name"], 5), "frameworks[0].name"),
        (changed("C1", ["tasks"], ...), "tasks"),
        (changed("C1", ["hosts", 0], [1, 2]), "hosts[0]"),
        (changed("C1", ["opts", "key"], 1), "opts.key"),
        (changed("C1", ["opts", "conserve"], 1), "opts.conserve"),
        (changed("C1", ["opts"], []), "opts"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_malformed_case_is_named_with_its_field(case, field, monkeypatch, capsys):
    code, out, err = solve([case], monkeypatch, capsys)
    assert code == 2
    assert out == ""
    assert f"case '{case['id']}': field '{field}'" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "must be a JSON list"),
        ("[1]", "case number 0"),
        ('[{"op": "reclaim"}]', "'id'"),
        ('[{"id": 1, "op": "reclaim", "E": [NaN], "frameworks": []}]', "'E[0]'"),
        (json.dumps([CASES[1], CASES[1]]), "used twice"),
    ],
)
def test_malformed_input_is_said_in_a_sentence(document, said, monkeypatch, capsys):
    code, out, err = solve(document, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_the_program_solves_a_file_and_refuses_one_that_is_not_there(tmp_path):
    program = [sys.executable, "-m", "hybrid_sched.cmd.simulate", "solve"]
    good = subprocess.run([*program, str(GOLDEN)], capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert [r["result"] for r in json.loads(good.stdout)] == [case["expect"] for case in CASES]
    bad = subprocess.run(
        [*program, str(tmp_path / "none.json")], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert "No such file" in bad.stderr
    assert "Traceback" not in bad.stderr
