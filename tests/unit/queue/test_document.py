# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.queue import document
from hybrid_sched.queue.document import (
    DocumentError,
    Submission,
    queued_tasks,
    read_document,
    read_file,
)

SAMPLE = Path(__file__).parents[3] / "etc/hybrid-sched/tasks-example.yaml"
SERVER = {"flavor": "m1.small", "image": "cirros"}
BOX = {"image": "busybox"}
SUBMISSION = UUID("11111111-2222-4333-8444-555555555555")
NOW_S = 1_760_000_000.0


def entry(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, "container": BOX, **fields}


def read(*entries: Any) -> tuple[Submission, ...]:
    return read_document(json.dumps({"tasks": entries}))


def faults_of(text: str) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as refused:
        read_document(text)
    return refused.value.faults


def faults_in(*entries: Any) -> tuple[str, ...]:
    return faults_of(json.dumps({"tasks": entries}))


def test_guests_and_containers_are_read_with_all_their_fields() -> None:
    text = """
tasks:
  - name: db
    count: 2
    priority: 10
    deadline: 2026-12-01T00:00:00Z
    after: [seed, 11111111-2222-4333-8444-555555555555]
    duration: 90s
    stop_after: 2m
    kind: batch
    server: {flavor: m1.small, image: cirros, networks: [private], availability_zone:, user_data: "#!/bin/sh\\n"}
  - name: seed
    deadline: 1h30m
    container: {image: busybox, command: [sleep, "60"], cpu: 0.5, memory_mb: 256, labels: {a: b}, disk_gb: 1}
"""
    assert read_document(text) == (
        Submission(
            "db",
            "hypervisor",
            {**SERVER, "networks": ["private"], "user_data": "#!/bin/sh\n"},
            count=2,
            priority=10,
            deadline_s=1_796_083_200.0,
            after=("seed", "11111111-2222-4333-8444-555555555555"),
            duration_s=90,
            stop_after_s=120,
            kind="batch",
        ),
        Submission(
            "seed",
            "container",
            {
                "image": "busybox",
                "command": ["sleep", "60"],
                "cpu": 0.5,
                "memory_mb": 256,
                "labels": {"a": "b"},
                "disk_gb": 1,
            },
            start_within_s=5400,
            kind="busybox sleep 60",
        ),
    )


def test_the_sample_can_be_used() -> None:
    assert len(queued_tasks(read_file(SAMPLE), uuid4(), 0.0)) > 3


names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
box_names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,20}", fullmatch=True)
lengths = st.integers(1, 10**8).map(float)
submissions = st.builds(
    Submission,
    name=box_names.map(lambda name: f"n{name}"),
    framework=st.just("container"),
    spec=st.fixed_dictionaries(
        {"image": box_names},
        optional={
            "command": st.lists(st.text(st.characters(exclude_categories=["C"])), max_size=3),
            "cpu": st.integers(1, 64) | st.floats(0.01, 64),
            "memory_mb": st.integers(1, 2**31 - 1),
            "environment": st.dictionaries(names, names, max_size=3),
            "networks": st.lists(names, max_size=2),
        },
    ),
    count=st.integers(1, 5),
    priority=st.integers(-1_000_000, 1_000_000),
    start_within_s=st.none() | lengths,
    duration_s=st.none() | lengths,
    stop_after_s=st.none() | lengths,
    kind=names,
)


@given(st.lists(submissions, min_size=1, max_size=3, unique_by=lambda each: each.name[:3]))
@settings(deadline=None)
def test_what_is_written_is_read_in_yaml_and_json(written: list[Submission]) -> None:
    entries = [
        {
            **{field: getattr(each, field) for field in ("name", "count", "priority", "kind")},
            "deadline": each.start_within_s,
            "duration": each.duration_s,
            "stop_after": each.stop_after_s,
            "container": each.spec,
        }
        for each in written
    ]
    assert read_document(yaml.safe_dump({"tasks": entries})) == tuple(written)
    assert read_document(json.dumps({"tasks": entries})) == tuple(written)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.dates()
        | st.datetimes()
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["tasks", "name", "after", "server", "image", "command"])
                | st.text(max_size=3),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
@settings(deadline=None)
def test_rubbish_is_refused_in_sentences(rubbish: Any) -> None:
    for text in (
        yaml.safe_dump(rubbish),
        yaml.safe_dump({"tasks": [rubbish]}),
        yaml.safe_dump({"tasks": [{"name": rubbish, "count": rubbish, "server": rubbish}]}),
    ):
        assert all(len(fault) < 2000 and ": " in fault for fault in faults_of(text))


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_refused_in_sentences(text: str) -> None:
    assert all(faults_of(text))


def test_all_faults_are_named_with_place_and_remedy() -> None:
    faults = faults_in(
        {"name": "a", "count": 0, "server": {"flavour": "x", "image": 5}, "prio": 1},
        {"container": {**BOX, "command": "sleep 60", "cpu": "2"}, "after": "a"},
        {"name": " b", "server": SERVER, "container": BOX, "deadline": "soon", "priority": 0.5},
        {"name": "c"},
        7,
    )
    known = "the fields are name, count, priority, deadline, after, duration, stop_after, kind, server, container"
    assert faults == (
        f"tasks[0].prio: this field is unknown: {known}",
        "tasks[0].count: 0 is out of range: give 1 to 10000",
        "tasks[0].server.flavour: this field is unknown: the fields are flavor, image, networks, availability_zone, "
        "key_name, user_data, metadata, security_groups, keep",
        "tasks[0].server.flavor: it is missing: add it",
        "tasks[0].server.image: 5 is not a string: write it in quotes",
        "tasks[1].name: it is missing: add it",
        "tasks[1].after: 'a' is not a list: write it in brackets, [one, two]",
        "tasks[1].container.command: it is one string: write each argument by itself, such as [sleep, '60']",
        "tasks[1].container.cpu: '2' is not a number: write it without quotes and units",
        "tasks[2].name: ' b' has characters that cannot be printed, or space at an end: leave them out",
        "tasks[2].priority: 0.5 is not a whole number: write it without quotes and units",
        "tasks[2].deadline: 'soon' is no date and time: write 2026-12-01T00:00:00Z, or a length of time such as 30m",
        "tasks[2]: both are there: give one of server and container",
        "tasks[3]: neither is there: give one of server and container",
        f"tasks[4]: 7 is not a mapping: {known}",
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"networks": "private"}, "networks: 'private' is no list of networks: write [private], "),
        ({"networks": []}, "networks: it is empty: write none for no network, or leave it out"),
        ({"availability_zone": "nova:one"}, "availability_zone: a host is named with it: name the"),
        ({"user_data": "ü" * 30_000}, "user_data: it is too long: give 49149 bytes at most"),
        ({"metadata": {"a/b": "x"}}, "metadata (a name): 'a/b' is no name of metadata: use "),
        ({"metadata": {"hybrid:task": "x"}}, "metadata (a name): hybrid:task is set by the queue"),
        ({"metadata": {"a": 1}}, "metadata.a: 1 is not a string: write it in quotes"),
        ({"key_name": "x" * 256}, "key_name: it has 256 characters: give 1 to 255"),
    ],
)
def test_what_nova_would_not_take_is_named(spec: dict[str, Any], said: str) -> None:
    [fault] = faults_in({"name": "a", "server": {**SERVER, **spec}})
    assert fault.startswith(f"tasks[0].server.{said}")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x"}, ".name: 'x' is no name of a container: give 2 to 255 letters"),
        ({"name": "a b"}, ".name: 'a b' is no name of a container"),
        ({"name": "a" * 254, "count": 10}, ".name: 'aaaa"),
        ({"name": str(SUBMISSION)}, f".name: {SUBMISSION} looks like the UUID of a task: give"),
        ({"container": {**BOX, "cpu": 0}}, ".container.cpu: 0 is out of range: give more than 0"),
        ({"container": {**BOX, "command": [60]}}, ".container.command[0]: 60 is not a string"),
        ({"container": {**BOX, "command": ["\0"]}}, ".container.command[0]: it has a character"),
        ({"container": {**BOX, "image_driver": "x"}}, ".container.image_driver: 'x' is unknown: "),
        ({"container": {**BOX, "labels": ["a"]}}, ".container.labels: ['a'] is not a mapping: "),
        (
            {"container": {**BOX, "environment": {str(n): "x" * 9999 for n in range(20)}}},
            ".container: it is larger than 131072 bytes as JSON: make it smaller",
        ),
        ({"duration": "1x"}, ".duration: '1x' is no length of time: write 90, 90s, 2m, 1h30m or"),
        ({"duration": ""}, ".duration: '' is no length of time"),
        ({"duration": True}, ".duration: True is no length of time"),
        ({"duration": 0}, ".duration: 0 is out of range: give more than 0, at most 3650d"),
        ({"stop_after": "9999d"}, ".stop_after: '9999d' is out of range"),
        ({"deadline": 1e300}, ".deadline: 1e+300 is out of range"),
        ({"after": ["zz"]}, ".after: 'zz' is no name in this file and no UUID: give one of those"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(fields: dict[str, Any], said: str) -> None:
    [fault] = faults_in(entry(**{"name": "aa", **fields}))
    assert fault.startswith(f"tasks[0]{said}")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90), (1.5, 1.5), ("90", 90), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("1d", 86_400)],
)
def test_lengths_of_time(written: Any, seconds: float) -> None:
    [found] = read(entry("aa", duration=written, deadline=written))
    assert (found.duration_s, found.start_within_s, found.deadline_s) == (seconds, seconds, None)


@pytest.mark.parametrize(
    "written", ["2026-12-01T00:00:00Z", "2026-12-01 00:00:00", "2026-12-01T01:00:00+01:00"]
)
@pytest.mark.parametrize("quote", ["", "'"])
def test_a_deadline_is_of_utc_unless_it_says_otherwise(written: str, quote: str) -> None:
    text = f"tasks: [{{name: aa, container: {{image: box}}, deadline: {quote}{written}{quote}}}]"
    [found] = read_document(text)
    assert found.deadline_s == 1_796_083_200.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file: it is empty: the fields are tasks"),
        ("[]", "the file: [] is not a mapping: the fields are tasks"),
        ("tasks: []", "tasks: it is empty: add a task"),
        ("tasks: 5", "tasks: 5 is not a list"),
        ("a: {", "the file: line 1, column 5: "),
        ("tasks: []\ntasks: []", "the file: line 2, column 1: the key 'tasks' is there twice"),
        ('{"a": 1, "a": 2}', "the file: the key 'a' is there twice: keep one of them"),
        ("? [a]\n: b", "the file: line 1, column 3: a key is not a string"),
        ("--- 1\n--- 2", "the file: line 2, column 1: expected a single document"),
        ("!!python/name:os.system {}", "the file: line 1, column 1: could not determine a"),
        ("tasks: 2026-13-45", "the file: month must be in 1..12"),
        ("tasks: 0x" + "f" * 9999, "tasks: an integer of 2**63 or more is not a list"),
        ("tasks: &a [*a]", "tasks[0]: [[...]] is not a mapping"),
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "the file: line 2, column 5: << names a list"),
    ],
)
def test_what_is_no_file_of_tasks_is_named(text: str, said: str) -> None:
    assert faults_of(text)[0].startswith(said)


@pytest.mark.parametrize("bracket", ["[", "{"])
def test_what_is_nested_too_deeply_is_refused(bracket: str) -> None:
    assert faults_of(bracket * 5000) == ("the file: it is nested too deeply: write it flat",)


def test_a_few_lines_that_make_a_huge_value_are_refused_at_once() -> None:
    lines = ["tasks:", "- &l0 [x, x]"]
    lines += [f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert len(faults_of("\n".join(lines))) == 30


def test_a_mapping_may_be_merged_with_others() -> None:
    text = """
tasks:
  - name: one
    container: &box {image: busybox, cpu: 1}
  - name: two
    container: {<<: *box, cpu: 2}
  - name: three
    container: {<<: *box, cpu: 3}
"""
    assert [each.spec["cpu"] for each in read_document(text)] == [1, 2, 3]


def test_names_are_given_once() -> None:
    assert faults_in(entry("aa", count=2), entry("aa-2"), entry("bb"), entry("bb")) == (
        "tasks[1].name: 'aa-2' is a name of tasks[0] too: give another one",
        "tasks[3].name: 'bb' is a name of tasks[2] too: give another one",
    )


def test_a_cycle_is_named() -> None:
    chain = [entry(name, after=[after]) for name, after in (("aa", "bb"), ("bb", "cc"))]
    [fault] = faults_in(*chain, entry("cc", after=["aa"]), entry("dd", after=["aa"]))
    assert fault == (
        "tasks: 'aa' waits for 'bb', which waits for 'cc', which waits for 'aa': take one of them out of after"
    )
    assert faults_in(entry("aa", after=["aa"]))[0].startswith("tasks: 'aa' waits for 'aa': ")
    ring = [entry(f"n{n}", after=[f"n{(n + 1) % 100}"]) for n in range(100)]
    assert "'n11', which waits for 88 more, which waits for" in faults_in(*ring)[0]


def test_limits_of_a_file() -> None:
    assert faults_in(entry("aa", count=6000), entry("bb", count=4001)) == (
        "tasks: 10001 with all counts: give 10000 at most in one file",
    )
    assert faults_in(entry("aa", count=1001), entry("bb", after=["aa"])) == (
        "tasks[1].after: it names 1001 tasks with their counts: give 1000 at most",
    )
    [fault] = faults_in(entry("aa", count=500), entry("bb", count=201, after=["aa"]))
    assert fault == (
        "tasks: after names 100500 tasks in all, 100500 of them for 'bb': give 100000 at most in one file"
    )


def test_the_tasks_of_a_file_wait_for_all_of_an_entry() -> None:
    other = str(uuid4())
    made = queued_tasks(
        read(
            entry("work", after=["seed", other], count=2, priority=3, duration=5, stop_after=6),
            {"name": "seed", "server": SERVER, "count": 3, "deadline": "30m"},
        ),
        SUBMISSION,
        NOW_S,
    )
    assert [task.name for task in made] == ["work-1", "work-2", "seed-1", "seed-2", "seed-3"]
    seeds = tuple(task.uuid for task in made[2:])
    work = made[0]
    assert work.after == made[1].after == (*seeds, other)
    assert (work.priority, work.duration_s, work.stop_after_s, work.deadline_s) == (3, 5, 6, None)
    assert (work.framework, work.spec, work.kind) == ("container", BOX, "busybox")
    assert (made[2].framework, made[2].spec, made[2].kind) == (
        "hypervisor",
        SERVER,
        "m1.small cirros",
    )
    assert made[2].deadline_s == NOW_S + 1800
    assert len({task.uuid for task in made}) == 5


def test_the_same_submission_gives_the_same_uuids_and_another_one_others() -> None:
    def uuids(submission: UUID) -> set[str]:
        return {each.uuid for each in queued_tasks(read(entry("aa", count=3)), submission, 0.0)}

    assert uuids(SUBMISSION) == uuids(SUBMISSION)
    assert not uuids(SUBMISSION) & uuids(uuid4())


def test_a_deadline_that_is_over_is_named() -> None:
    late = read(entry("aa"), entry("bb", deadline="2025-01-01T00:00:00Z"))
    with pytest.raises(DocumentError, match=r"^tasks\[1\]\.deadline: it is over: give a later one"):
        queued_tasks(late, SUBMISSION, NOW_S)


def test_kinds_differ_where_long_commands_do() -> None:
    def kind(end: str) -> str:
        return read(entry("aa", container={**BOX, "command": ["x" * 400, end]}))[0].kind

    assert len(kind("a")) == len(kind("b")) == 255
    assert kind("a") != kind("b")
    assert kind("a") == kind("a")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "tasks.yaml"

    def said() -> str:
        with pytest.raises(DocumentError) as refused:
            read_file(path)
        return refused.value.faults[0]

    assert said().startswith("the file cannot be read (No such file or directory): name a")
    path.write_bytes(b"\xff")
    assert said().startswith("the file is not UTF-8")
    monkeypatch.setattr(document, "LARGEST_FILE", 10)
    path.write_text("x" * 11)
    assert said() == "the file is larger than 10 bytes: split it"
