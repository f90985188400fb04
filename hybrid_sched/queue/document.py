# SPDX-License-Identifier: Apache-2.0
"""The file of declared tasks (paper 5.1): ``tasks.yaml``, guests and containers mixed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from hybrid_sched.core.queue_order import find_cycle
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import NOTHING
from hybrid_sched.queue.fields import (
    BadField,
    Field,
    duration,
    integer_of,
    list_of,
    moment,
    name_of,
    read_fields,
    seconds_of,
    shown,
)
from hybrid_sched.queue.specs import SECTIONS, check_name, spec_reader
from hybrid_sched.queue.strict_yaml import BadYaml, load
from hybrid_sched.rpc.tasks import LARGEST_SPEC
from hybrid_sched.rpc.wire import is_uuid

#: Bytes of a file.
LARGEST_FILE = 1 << 20
#: Tasks of a file, each of a ``count`` for itself.
MOST_TASKS = 10_000
#: Tasks for which one may wait, and such references in all tasks of a file.
MOST_AFTER = 1_000
MOST_REFERENCES = 100_000
HIGHEST_PRIORITY = 1_000_000
_LONGEST_KIND = 255
_MOST_NAMED = 12


class DocumentError(ValueError):
    """A file that cannot be used.

    :param faults: a sentence for each, with the place and the remedy.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Submission:
    """One entry of a file: a task, or ``count`` tasks of one kind.

    :param name: of the task; with a count above 1 the names are ``name-1``, ``name-2`` and so on.
    :param framework: ``hypervisor`` for a server, ``container`` for a container.
    :param spec: the section ``server`` or ``container``, without what is not given.
    :param count: tasks.
    :param priority: the larger, the earlier.
    :param deadline_s: Unix time by which they must have started; None for no such limit.
    :param start_within_s: the same as seconds after submission.
    :param after: names of entries of the file, all of whose tasks must be done before, and uuids of queued tasks.
    :param duration_s: how long each is expected to run; None to have it estimated.
    :param stop_after_s: each is ended when it has run for so long; None to let it end by itself.
    :param kind: tasks of one kind last about as long as each other.
    """

    name: str
    framework: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1
    priority: int = 0
    deadline_s: float | None = None
    start_within_s: float | None = None
    after: tuple[str, ...] = ()
    duration_s: float | None = None
    stop_after_s: float | None = None
    kind: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Give the names of its tasks."""
        if self.count == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.count + 1))


def read_file(path: Path) -> tuple[Submission, ...]:
    """Read a file of tasks.

    :raises DocumentError: when it cannot be read or used.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(
            [f"the file cannot be read ({error.strerror}): name a readable file"]
        ) from None
    except UnicodeDecodeError as error:
        raise DocumentError([f"the file is not UTF-8 ({error.reason}): save it as UTF-8"]) from None
    if len(content) > LARGEST_FILE:
        raise DocumentError([f"the file is larger than {LARGEST_FILE} bytes: split it"])
    return read_document(text)


def read_document(text: str) -> tuple[Submission, ...]:
    """Read the text of a file of tasks, in YAML or JSON.

    :raises DocumentError: when it cannot be used; it names all faults that could be found.
    """
    try:
        document = load(text)
    except BadYaml as fault:
        raise DocumentError([f"the file: {fault}"]) from None
    return read_tasks(document)


def read_tasks(document: object) -> tuple[Submission, ...]:
    """Read what a file of tasks says, as values.

    :raises DocumentError: when it cannot be used; it names all faults that could be found.
    """
    faults: list[str] = []
    fields = read_fields(document, "", {"tasks": Field(_entries, required=True)}, faults)
    entries = fields.get("tasks", [])
    read = [_submission(entry, f"tasks[{index}]", faults) for index, entry in enumerate(entries)]
    if not faults:
        faults = [*_name_faults(read), *_after_faults(read)]
    if faults:
        raise DocumentError(faults)
    return tuple(read)


def queued_tasks(
    submissions: Sequence[Submission], submission: UUID, now_s: float
) -> tuple[QueuedTask, ...]:
    """Make the tasks of a file. Their demand is left to the quota service, which knows the flavors.

    :param submissions: of one file.
    :param submission: of this sending; the same gives the same uuids, so that to send a file again doubles nothing.
    :param now_s: Unix time.
    :raises DocumentError: when a deadline is over.
    """
    faults = [
        f"tasks[{index}].deadline: it is over: give a later one"
        for index, each in enumerate(submissions)
        if each.deadline_s is not None and each.deadline_s <= now_s
    ]
    if faults:
        raise DocumentError(faults)
    uuids = {
        each.name: tuple(str(uuid5(submission, name)) for name in each.names)
        for each in submissions
    }
    return tuple(
        QueuedTask(
            uuid=uuid,
            name=name,
            framework=each.framework,
            demand=NOTHING,
            spec=each.spec,
            kind=each.kind,
            priority=each.priority,
            submitted_at_s=now_s,
            deadline_s=each.deadline_s
            if each.start_within_s is None
            else now_s + each.start_within_s,
            after=tuple(
                dict.fromkeys(one for other in each.after for one in uuids.get(other, (other,)))
            ),
            duration_s=each.duration_s,
            stop_after_s=each.stop_after_s,
        )
        for each in submissions
        for name, uuid in zip(each.names, uuids[each.name], strict=True)
    )


def as_document(submissions: Sequence[Submission]) -> dict[str, Any]:
    """Write the entries of a file again, as plain values of JSON that :func:`read_document` reads back to the same."""
    return {"tasks": [_entry(each) for each in submissions]}


def _entry(each: Submission) -> dict[str, Any]:
    deadline: str | float | None = each.start_within_s
    if each.deadline_s is not None:
        deadline = datetime.fromtimestamp(each.deadline_s, UTC).isoformat()
    given = {
        "count": None if each.count == 1 else each.count,
        "priority": each.priority or None,
        "deadline": deadline,
        "after": list(each.after) or None,
        "duration": each.duration_s,
        "stop_after": each.stop_after_s,
    }
    return {
        "name": each.name,
        **{name: value for name, value in given.items() if value is not None},
        "kind": each.kind,
        SECTIONS[each.framework]: dict(each.spec),
    }


def cycle_text(cycle: Sequence[str]) -> str:
    """Say in words which tasks wait for each other, with the remedy."""
    others = [shown(name) for name in (*cycle[1:], cycle[0])]
    if len(others) > _MOST_NAMED:
        others[_MOST_NAMED - 1 : -1] = [f"{len(others) - _MOST_NAMED} more"]
    way = ", which waits for ".join(others)
    return f"{shown(cycle[0])} waits for {way}: take one of them out of after"


def _entries(value: object, where: str) -> list[Any]:
    entries: list[Any] = list_of(lambda entry, _: entry, MOST_TASKS)(value, where)
    if not entries:
        raise BadField(f"{where}: it is empty: add a task")
    return entries


def _submission(entry: object, where: str, faults: list[str]) -> Submission:
    before = len(faults)
    sections = {
        section: Field(spec_reader(framework, faults)) for framework, section in SECTIONS.items()
    }
    fields = read_fields(entry, where, {**_FIELDS, **sections}, faults)
    given = [framework for framework, section in SECTIONS.items() if section in fields]
    if isinstance(entry, dict) and len(given) != 1:
        said = "both are there" if given else "neither is there"
        faults.append(f"{where}: {said}: give one of {' and '.join(SECTIONS.values())}")
    if len(faults) > before:
        return Submission("", "")
    [framework] = given
    spec = fields[SECTIONS[framework]]
    if len(json.dumps(spec)) > LARGEST_SPEC:
        faults.append(
            f"{where}.{SECTIONS[framework]}: it is larger than {LARGEST_SPEC} bytes as JSON: make it smaller"
        )
    return Submission(
        name=fields["name"],
        framework=framework,
        spec=spec,
        count=fields.get("count", 1),
        priority=fields.get("priority", 0),
        after=tuple(dict.fromkeys(fields.get("after", ()))),
        duration_s=fields.get("duration"),
        stop_after_s=fields.get("stop_after"),
        kind=fields.get("kind") or _default_kind(spec),
        **fields.get("deadline", {}),
    )


def _task_name(value: object, where: str) -> str:
    name: str = name_of()(value, where)
    if is_uuid(name.lower()):
        raise BadField(f"{where}: {name} looks like the UUID of a task: give another name")
    return name


def _deadline(value: object, where: str) -> dict[str, float]:
    """Read a deadline as the field of :class:`Submission` that it is."""
    is_length = isinstance(value, int | float) or (
        isinstance(value, str) and seconds_of(value) is not None
    )
    if is_length:
        return {"start_within_s": duration(value, where)}
    return {"deadline_s": moment(value, where)}


_FIELDS = {
    "name": Field(_task_name, required=True),
    "count": Field(integer_of(1, MOST_TASKS)),
    "priority": Field(integer_of(-HIGHEST_PRIORITY, HIGHEST_PRIORITY)),
    "deadline": Field(_deadline),
    "after": Field(list_of(name_of(), MOST_AFTER)),
    "duration": Field(duration),
    "stop_after": Field(duration),
    "kind": Field(name_of(_LONGEST_KIND)),
}


def _default_kind(spec: Mapping[str, Any]) -> str:
    words = [spec.get("flavor", ""), spec["image"], *spec.get("command", ())]
    kind = " ".join(filter(None, words))
    kind = "".join(letter if letter.isprintable() else " " for letter in kind)
    if len(kind) <= _LONGEST_KIND:
        return kind
    digest = hashlib.sha256(repr(words).encode()).hexdigest()[:16]
    return f"{kind[: _LONGEST_KIND - len(digest) - 1]} {digest}"


def _name_faults(submissions: Sequence[Submission]) -> list[str]:
    faults = []
    total = sum(each.count for each in submissions)
    if total > MOST_TASKS:
        return [f"tasks: {total} with all counts: give {MOST_TASKS} at most in one file"]
    made_by: dict[str, int] = {}
    for index, each in enumerate(submissions):
        if said := check_name(each.framework, each.names[-1]):
            faults.append(f"tasks[{index}].name: {said}")
        for name in dict.fromkeys((each.name, *each.names)):
            first = made_by.setdefault(name, index)
            if first != index:
                faults.append(
                    f"tasks[{index}].name: {shown(name)} is a name of tasks[{first}] too: give another one"
                )
                break
    return faults


def _after_faults(submissions: Sequence[Submission]) -> list[str]:
    counts = {each.name: each.count for each in submissions}
    faults = []
    references: Counter[str] = Counter()
    for index, each in enumerate(submissions):
        where = f"tasks[{index}].after"
        faults += [
            f"{where}: {shown(other)} is no name in this file and no UUID: give one of those"
            for other in each.after
            if other not in counts and not is_uuid(other)
        ]
        waits_for = sum(counts.get(other, 1) for other in each.after)
        if waits_for > MOST_AFTER:
            faults.append(
                f"{where}: it names {waits_for} tasks with their counts: give {MOST_AFTER} at most"
            )
        references[each.name] = waits_for * each.count
    if references.total() > MOST_REFERENCES:
        [(name, most)] = references.most_common(1)
        faults.append(
            f"tasks: after names {references.total()} tasks in all, {most} of them for {shown(name)}: "
            f"give {MOST_REFERENCES} at most in one file"
        )
    cycle = find_cycle({each.name: each.after for each in submissions})[:-1]
    if cycle:
        faults.append(f"tasks: {cycle_text(cycle)}")
    return faults
