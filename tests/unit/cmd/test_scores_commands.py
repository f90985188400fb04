# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_sched import loading
from hybrid_sched.core.hardware import Hardware, ScoreRow, score_of
from hybrid_sched.db import Database
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.interfaces.monitor import Observation, SourceError

HEADER = "cpu_model,memory_kind,score,note\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "scores.csv"


def stored(manage) -> tuple[ScoreRow, ...]:
    return ScoreStore(Database(manage.url)).all()


def test_a_score_is_set_listed_and_removed(synced):
    expected = {"CPU model": "AMD*", "Memory kind": "DDR4", "Score": "3/4", "Note": "rack 4"}
    command = ("scores", "set", "AMD*", "0.75", "--memory-kind", "DDR4", "--note", "rack 4")
    assert synced(*command, "-f", "json").rows == expected
    assert synced("scores", "list", "-f", "json").rows == [expected]
    assert "| AMD*      | DDR4        | 0.75  | rack 4 |" in synced("scores", "list").out
    absent = synced("scores", "remove", "AMD*")
    assert absent.code == 1
    assert absent.err.startswith("There is no score of 'AMD*' with memory '*': give the patterns")
    assert synced("scores", "remove", "AMD*", "--memory-kind", "DDR4").code == 0
    assert stored(synced) == ()


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("2", "score: 2 is out of range: give a number above 0 and at most 1."),
        ("0", "score: 0 is out of range"),
        ("much", "score: 'much' is not a number: write it as 0.85 or 3/4."),
        # Would take for ever to write out.
        ("1e-999999999", "score: '1e-999999999' is not a number"),
        ("1/0", "score: '1/0' is not a number"),
    ],
)
def test_a_score_that_cannot_be_used_is_one_sentence(synced, score, said):
    answer = synced("scores", "set", "AMD*", score)
    assert answer.code == 1
    assert answer.err.startswith(f"The score cannot be set: {said}")
    assert stored(synced) == ()


def test_an_import_says_what_changes_and_can_be_tried_first(synced, file):
    ScoreStore(Database(synced.url)).import_rows(
        [ScoreRow("a", "*", 1), ScoreRow("b", "*", 1), ScoreRow("d", "*", 1)]
    )
    before = stored(synced)
    file.write_text(
        f'# a comment, with a comma\n{HEADER}\na,*,1,\nb , * , 1/2 ,"half, of it"\nc,,0.1,\n'
    )
    command = ("scores", "import", str(file), "-f", "json")

    def done(*options):
        rows = synced(*command, *options).rows
        return [(row["Change"], row["CPU model"], row["Score"]) for row in rows]

    merged = [("changed", "b", "1/2"), ("added", "c", "1/10")]
    assert done("--dry-run") == merged
    assert done("--dry-run", "--replace") == [*merged, ("removed", "d", 1)]
    assert stored(synced) == before
    assert done() == merged
    new = (ScoreRow("a", "*", 1), ScoreRow("b", "*", 0.5, "half, of it"), ScoreRow("c", "*", 0.1))
    assert stored(synced) == (*new, ScoreRow("d", "*", 1))
    assert done() == []
    assert done("--replace") == [("removed", "d", 1)]
    assert stored(synced) == new


@pytest.mark.parametrize("option", ["--replace", "--dry-run"])
def test_a_file_with_bad_lines_imports_nothing_and_names_each(synced, file, option):
    ScoreStore(Database(synced.url)).set("a", "*", 1)
    file.write_text(
        f"{HEADER}good,*,1,\nhigh,*,1.5,\n,*,1,\nshort,1\n# comment\ngood,*,0.5,again\n"
        'long,*,0.5,"two\nlines"\nbad,*,x,\n'
    )
    answer = synced("scores", "import", str(file), option)
    assert answer.code == 1
    assert answer.err.splitlines() == [
        f"{file} cannot be used:",
        "  line 3, score: 3/2 is out of range: give a number above 0 and at most 1",
        "  line 4, cpu_model: it is empty: give a pattern such as 'AMD EPYC 7??3*', or '*'",
        "  line 5, fields: there are 2, not 4: write cpu_model,memory_kind,score,note, with quotes around commas",
        "  line 7, cpu_model, memory_kind: the same patterns are in line 2: keep one of the lines",
        "  line 10, score: 'x' is not a number: write it as 0.85 or 3/4",
        "Nothing was imported.",
    ]
    assert stored(synced) == (ScoreRow("a", "*", 1),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1, it is empty: begin with the line cpu_model,memory_kind,score,note"),
        (b"model,score\na,1\n", "line 1, header: model,score are not the columns: write cpu_model"),
        (b"cpu_model,score,score\n", "line 1, header: "),
        (b'cpu_model,score\n"a,1\n', "line 2, unexpected end of data"),
        (b"cpu_model,score\n\xff\xfe,1\n", "is not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_named(synced, file, content, said):
    file.write_bytes(content)
    answer = synced("scores", "import", str(file))
    assert answer.code == 1
    assert said in answer.err
    assert answer.err.endswith("Nothing was imported.\n")


def test_a_missing_file_is_named(synced, file):
    answer = synced("scores", "import", str(file))
    assert answer.err.startswith(f"{file} cannot be read (No such file or directory): name a")


def test_columns_may_come_in_any_order_from_a_spreadsheet(synced, file):
    file.write_bytes("\ufeffscore,cpu_model\r\n0.5,Ü*\r\n".encode())
    assert synced("scores", "import", str(file)).code == 0
    assert stored(synced) == (ScoreRow("Ü*", "*", 0.5),)


def test_a_measurement_proposes_a_row_and_saves_it_when_asked(synced):
    command = ("scores", "measure", "--seconds", "0.5", "--cpu-model", "This*", "-f", "json")
    command += ("--memory-kind", "DDR4")
    proposed = synced(*command).rows
    assert (proposed["CPU model"], proposed["Memory kind"]) == ("This*", "DDR4")
    assert proposed["Saved"] is False
    assert stored(synced) == ()
    saved = synced(*command, "--save").rows
    [row] = stored(synced)
    assert saved["Score"] == (row.score if row.score == 1 else str(row.score))
    assert 0 < row.score <= 1
    assert row.note == "measured, 3 rounds"
    assert score_of(Hardware("This one", "DDR4"), [row]).row == row


class _Source:
    def __init__(self, seen: Observation | SourceError) -> None:
        self._seen = seen

    def collect(self) -> Observation:
        if isinstance(self._seen, SourceError):
            raise self._seen
        return self._seen


@pytest.fixture
def host_is(monkeypatch):
    """Let the agent's source of the host see something."""

    def load(seen):
        monkeypatch.setattr(loading, "load", lambda *_: [("host", _Source(seen))])

    return load


def test_by_default_the_row_is_of_this_very_hardware(synced, host_is):
    this = Hardware("CPU [x] *", "DDR5")
    host_is(Observation(hardware=this))
    assert synced("scores", "measure", "--seconds", "0.5", "--save").code == 0
    [row] = stored(synced)
    assert score_of(this, [row]).row == row
    assert score_of(Hardware("CPU x and more", "DDR5"), [row]).row is None
    assert score_of(Hardware(this.cpu_model, "DDR4"), [row]).row is None


def test_where_the_memory_is_unknown_the_row_is_of_any(synced, host_is):
    host_is(Observation(hardware=Hardware("CPU")))
    assert synced("scores", "measure", "--seconds", "0.5", "--save").code == 0
    assert stored(synced)[0].key == ("CPU", "*")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Observation(), "The name of this host's processor is unknown: give --cpu-model."),
        (Observation(hardware=Hardware("", "DDR4")), "The name of this host's processor"),
        (SourceError("No /proc."), "No /proc. Or give --cpu-model and --memory-kind."),
    ],
)
def test_unknown_hardware_is_not_measured(synced, host_is, seen, said):
    host_is(seen)
    answer = synced("scores", "measure", "--save")
    assert answer.code == 1
    assert answer.err.startswith(said)
    assert stored(synced) == ()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "many", "1e9"])
def test_a_measurement_of_no_length_is_refused(synced, seconds):
    with pytest.raises(SystemExit):
        synced("scores", "measure", f"--seconds={seconds}")
