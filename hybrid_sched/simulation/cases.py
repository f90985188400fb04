# SPDX-License-Identifier: Apache-2.0
"""Cases of the algorithms as JSON values: read them, solve them, give the result as JSON values.

A number that is no integer is written ``"a/b"``; hosts and tasks are counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hybrid_sched.core import drf
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.resources import Number, Vector, exact

Json = Any


class CaseError(ValueError):
    """A case that cannot be solved as it is written; the message names the case, the field and the remedy."""


def solve_all(document: Json) -> list[dict[str, Json]]:
    """Solve a list of cases.

    :param document: a list of objects with ``id``, ``op`` and what the op needs; ``expect`` and ``note`` are not read.
    :returns: ``{"id", "result"}`` for each, in order.
    :raises CaseError: for the first case that is malformed.
    """
    if not isinstance(document, list):
        raise CaseError('the input must be a JSON list of cases, such as [{"id": ..., "op": ...}]')
    seen: set[object] = set()
    results = []
    for index, case in enumerate(document):
        if not isinstance(case, dict):
            raise CaseError(f"case number {index}: it must be a JSON object")
        name = case.get("id")
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise CaseError(f"case number {index}: field 'id': give a string or an integer")
        if name in seen:
            raise CaseError(f"case {name!r}: field 'id': it is used twice; give each case its own")
        seen.add(name)
        try:
            results.append({"id": name, "result": _solve(_Fields(case, ""))})
        except _FieldError as error:
            raise CaseError(f"case {name!r}: field {error}") from None
    return results


class _FieldError(ValueError):
    """A fault in one field; the message starts with the field's quoted path."""


class _Fields:
    """Typed access to the fields of one JSON object, with the path to it for messages."""

    def __init__(self, fields: Mapping[str, Json], path: str) -> None:
        self._fields = fields
        self._path = path

    def fault(self, name: str, remedy: str) -> _FieldError:
        return _FieldError(f"'{self._path}{name}': {remedy}")

    def _get(self, name: str) -> Json:
        if name not in self._fields:
            raise self.fault(name, "it is missing; add it")
        return self._fields[name]

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise self.fault(name, "it must be a string")
        return value

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise self.fault(name, "it must be true or false")
        return value

    def items(self, name: str) -> list[Json]:
        value = self._get(name)
        if not isinstance(value, list):
            raise self.fault(name, "it must be a list")
        return value

    def objects(self, name: str) -> list[_Fields]:
        children = []
        for index, child in enumerate(self.items(name)):
            if not isinstance(child, dict):
                raise self.fault(f"{name}[{index}]", "it must be a JSON object")
            children.append(_Fields(child, f"{self._path}{name}[{index}]."))
        return children

    def options(self) -> _Fields:
        value = self._fields.get("opts")
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.fault("opts", "it must be a JSON object")
        return _Fields(value, "opts.")

    def number(self, name: str) -> Number:
        return self._number(name, self._get(name))

    def _number(self, name: str, value: Json) -> Number:
        try:
            number = exact(value)
        except ValueError as error:
            raise self.fault(name, str(error)) from None
        if number < 0:
            raise self.fault(name, f"{value!r} is negative; give 0 or more")
        return number

    def positive(self, name: str, default: Number, *, most: Number | None = None) -> Number:
        if name not in self._fields:
            return default
        number = self.number(name)
        if number == 0 or (most is not None and number > most):
            limit = "" if most is None else f" and at most {most}"
            raise self.fault(name, f"it must be more than 0{limit}")
        return number

    def vector(self, name: str, length: int | None) -> Vector:
        return self._vector(name, self._get(name), length)

    def vectors(self, name: str, length: int | None) -> list[Vector]:
        vectors: list[Vector] = []
        for index, value in enumerate(self.items(name)):
            vectors.append(self._vector(f"{name}[{index}]", value, length))
            length = len(vectors[0])
        return vectors

    def _vector(self, name: str, value: Json, length: int | None) -> Vector:
        if not isinstance(value, list):
            raise self.fault(name, "it must be a list of numbers, one a resource")
        if not value:
            raise self.fault(name, "it is empty; give a number for each resource")
        if length is not None and len(value) != length:
            raise self.fault(
                name, f"it has {len(value)} numbers, {length} are needed, one a resource"
            )
        return tuple(self._number(f"{name}[{r}]", amount) for r, amount in enumerate(value))


def _solve(case: _Fields) -> Json:
    op = case.text("op")
    if op not in _OPS:
        raise case.fault("op", f"unknown op {op!r}; use one of {', '.join(_OPS)}")
    return _OPS[op](case)


def _wdrf_fluid(case: _Fields) -> Json:
    pool = case.vector("E", None)
    claims = []
    for framework in case.objects("frameworks"):
        cap = framework.number("cap") if framework.has("cap") else None
        claims.append(
            drf.Claim(framework.vector("d", len(pool)), framework.positive("phi", 1), cap)
        )
    shares = drf.fluid(pool, claims)
    return {"x": _numbers(shares.units), "shares": _numbers(shares.shares)}


def _wdrf_discrete(case: _Fields) -> Json:
    length = len(case.vector("E", None)) if case.has("E") else None
    hosts = []
    for host in case.objects("hosts"):
        capacity = host.vector("cap", length)
        length = len(capacity)
        hosts.append(drf.ScoredHost(capacity, host.positive("score", 1, most=1)))
    frameworks = []
    for framework in case.objects("frameworks"):
        tasks = framework.vectors("tasks", length)
        length = len(tasks[0]) if tasks else length
        used = framework.vector("used", length) if framework.has("used") else None
        length = len(used) if used else length
        frameworks.append(
            drf.Backlog(framework.text("name"), tasks, framework.positive("phi", 1), used)
        )
    options = case.options()
    place = options.text("place") if options.has("place") else "pool"
    if place not in list(drf.Place):
        raise options.fault("place", f"unknown place {place!r}; use 'pool' or 'ff'")
    pool = drf.effective_pool(hosts, length or 0)
    if case.has("E") and case.vector("E", length) != pool:
        raise case.fault(
            "E", f"it differs from the hosts' scored sum {_numbers(pool)}; leave it out"
        )
    grants = drf.discrete(
        hosts, frameworks, strict=options.flag("strict"), place=drf.Place(place), pool=pool
    )
    result: dict[str, Json] = {
        "granted": list(grants.granted),
        "usage": [_numbers(used) for used in grants.usage],
        "shares": _numbers(grants.shares),
        "keys": _numbers(grants.keys),
        "order": list(grants.order),
    }
    if grants.where is not None:
        result["where"] = [list(hosts_of) for hosts_of in grants.where]
    return result


def _reclaim(case: _Fields) -> Json:
    pool = case.vector("E", None)
    holdings = [
        drf.Holding(
            demand=framework.vector("d", len(pool)),
            used=framework.number("used"),
            want=framework.number("want"),
            weight=framework.positive("phi", 1),
        )
        for framework in case.objects("frameworks")
    ]
    return [
        {
            "entitled": _number(balance.entitled),
            "borrowed": _number(balance.borrowed),
            "owed": _number(balance.owed),
        }
        for balance in drf.reclaim(pool, holdings)
    ]


def _cf_pack(case: _Fields) -> Json:
    tasks = case.vectors("tasks", None)
    hosts = case.vectors("hosts", len(tasks[0]) if tasks else None)
    options = case.options()
    resource = None
    key = options._fields.get("key", "share")
    if key != "share":
        length = len((tasks or hosts or [()])[0])
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < max(length, 1):
            raise options.fault("key", f"use 'share' or the index of a resource, 0 to {length - 1}")
        resource = key
    packing = CrossFill(conserve=options.flag("conserve"), resource=resource).pack(tasks, hosts)
    return {
        "bins": {str(host): list(placed) for host, placed in sorted(packing.bins.items())},
        "unplaced": list(packing.unplaced),
        "used": packing.used,
        "free": [_numbers(free) for free in packing.free],
    }


_OPS: dict[str, Callable[[_Fields], Json]] = {
    "wdrf_fluid": _wdrf_fluid,
    "wdrf_discrete": _wdrf_discrete,
    "reclaim": _reclaim,
    "cf_pack": _cf_pack,
}


def _number(number: Number) -> int | str:
    return number if isinstance(number, int) else f"{number.numerator}/{number.denominator}"


def _numbers(vector: Vector) -> list[int | str]:
    return [_number(number) for number in vector]
