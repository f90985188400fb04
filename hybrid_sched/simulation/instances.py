# SPDX-License-Identifier: Apache-2.0
"""Packing problems as CSV files: a header ``id,<resource>,...`` and a line a task or host, in integers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid_sched.core.packing.base import Packing
from hybrid_sched.core.packing.bounds import lower_bound

# More hosts than this are a slip of the pen.
_MOST_HOSTS = 10_000_000


class InstanceError(ValueError):
    """A problem that cannot be read; the message names the file, the line and column, and the remedy."""


@dataclass(frozen=True, slots=True)
class Table:
    """Tasks or hosts.

    :param resources: names of the columns after ``id``.
    :param ids: one a row, each another.
    :param rows: an amount a resource.
    """

    resources: tuple[str, ...]
    ids: Sequence[str]
    rows: Sequence[tuple[int, ...]]


def read_tasks(path: str) -> Table:
    """Read tasks from a CSV file.

    :raises InstanceError: when it cannot be read, or something in it is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InstanceError(f"cannot read {path}: {error.strerror}; name a CSV file") from None
    except (UnicodeDecodeError, ValueError):
        raise InstanceError(f"{path} is not text in UTF-8; write it as a CSV file") from None
    return _parse(path, text)


def read_hosts(text: str, resources: tuple[str, ...]) -> Table:
    """Read hosts from a CSV file, or make equal ones.

    :param text: a path, or ``N*resource=amount,...`` for N hosts with the ids ``host-0`` and so on.
    :param resources: that the tasks have; a file must have the same in the same order.
    :raises InstanceError: when they cannot be read, or their resources differ from the tasks'.
    """
    equal = re.fullmatch(r"\s*([^*/\\]*)\*(.*)", text)
    if equal is not None and not Path(text).is_file():
        return _equal_hosts(text, equal[1].strip(), equal[2], resources)
    table = read_tasks(text)
    if table.resources != resources:
        raise InstanceError(
            f"{text}, line 1: the header has the resources {', '.join(table.resources)} and the tasks' has "
            f"{', '.join(resources)}; give both files the same columns in the same order"
        )
    return table


def report(
    tasks: Table, hosts: Table, packing: Packing, packer: str, seconds: float
) -> dict[str, object]:
    """Give the figures of a packing as JSON values.

    :param packer: its name.
    :param seconds: that it took.
    :returns: ``ratio`` is hosts used over the lower bound; None when nothing can be placed.
    """
    bound = lower_bound(tasks.rows, hosts.rows)
    return {
        "packer": packer,
        "hosts_used": packing.used,
        "unplaced": [tasks.ids[task] for task in packing.unplaced],
        "lower_bound": bound,
        "ratio": round(packing.used / bound, 6) if bound else None,
        "seconds": round(seconds, 6),
    }


def assignments(tasks: Table, hosts: Table, packing: Packing) -> Mapping[str, str]:
    """Give the host's id for each placed task's, in the order of the tasks."""
    host_of = {task: host for host, placed in packing.bins.items() for task in placed}
    return {tasks.ids[task]: hosts.ids[host_of[task]] for task in sorted(host_of)}


def _parse(path: str, text: str) -> Table:
    try:
        lines = csv.reader(io.StringIO(text), strict=True)
        header = [name.strip() for name in next(lines, [])]
        resources = _resources(path, header)
        ids: dict[str, int] = {}
        rows = []
        for fields in lines:
            if not fields:
                continue
            where = f"{path}, line {lines.line_num}"
            if len(fields) != len(header):
                raise InstanceError(
                    f"{where}: it has {len(fields)} columns and the header {len(header)}; give a value for each"
                )
            name = fields[0].strip()
            if not name:
                raise InstanceError(f"{where}, column 'id': it is empty; give each line an id")
            if name in ids:
                raise InstanceError(
                    f"{where}, column 'id': {name!r} is on line {ids[name]} too; give each line its own"
                )
            ids[name] = lines.line_num
            rows.append(
                tuple(
                    _amount(f"{where}, column {resource!r}", field)
                    for resource, field in zip(resources, fields[1:], strict=True)
                )
            )
    except csv.Error as error:
        raise InstanceError(f"{path} is not CSV ({error}); separate values by commas") from None
    return Table(resources, list(ids), rows)


def _resources(path: str, header: list[str]) -> tuple[str, ...]:
    where = f"{path}, line 1"
    if len(header) < 2 or header[0] != "id":
        raise InstanceError(
            f"{where}: the header is {','.join(header)!r}; write 'id' and the resources, such as id,vcpu,memory_mib"
        )
    resources = header[1:]
    for place, name in enumerate(resources):
        if not name or name in resources[:place]:
            raise InstanceError(
                f"{where}, column {place + 2}: the resource {name!r} is empty or there twice; give each its own name"
            )
    return tuple(resources)


def _amount(where: str, text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", text):
        raise InstanceError(
            f"{where}: {text!r} is not an integer; write one in a unit small enough, such as 500 millicores"
        )
    amount = int(text)
    if amount < 0:
        raise InstanceError(f"{where}: {amount} is negative; give 0 or more")
    return amount


def _equal_hosts(text: str, count: str, shape: str, resources: tuple[str, ...]) -> Table:
    where = f"hosts {text!r}"
    remedy = f"write N*{','.join(f'{name}=AMOUNT' for name in resources)}, or name a CSV file"
    if not re.fullmatch(r"[0-9]{1,9}", count) or not 0 < int(count) <= _MOST_HOSTS:
        raise InstanceError(
            f"{where}: the number of hosts is {count!r} and must be an integer from 1 to {_MOST_HOSTS}; {remedy}"
        )
    amounts: dict[str, int] = {}
    for part in shape.split(","):
        name, sign, amount = (piece.strip() for piece in part.partition("="))
        if not sign or name in amounts:
            raise InstanceError(
                f"{where}: {part!r} is no resource=amount, or it is there twice; {remedy}"
            )
        amounts[name] = _amount(f"{where}, resource {name!r}", amount)
    if set(amounts) != set(resources):
        raise InstanceError(
            f"{where}: it has the resources {', '.join(amounts)} and the tasks have {', '.join(resources)}; {remedy}"
        )
    row = tuple(amounts[name] for name in resources)
    return Table(resources, [f"host-{number}" for number in range(int(count))], [row] * int(count))
