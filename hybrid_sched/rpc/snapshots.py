# SPDX-License-Identifier: Apache-2.0
"""Snapshots on the wire: whole, or as what changed since an earlier version of the same term.

They come from the quota service itself and are only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hybrid_sched.core.cluster import (
    DEFAULT_POOL,
    Arrival,
    Framework,
    Host,
    Pool,
    ReserveMode,
    Rung,
    Snapshot,
)
from hybrid_sched.core.resources import Resources, exact
from hybrid_sched.rpc.wire import (
    LARGEST,
    BadMessage,
    Wire,
    integer,
    mapping,
    number_to_wire,
    resources_to_wire,
)


class MissedSnapshot(Exception):
    """A change to a snapshot that is not held here; the whole one must be asked for."""


def snapshot_to_wire(snapshot: Snapshot) -> Wire:
    """Write a whole snapshot; its age is stated by whoever sends it."""
    return _to_wire(snapshot, None, snapshot.hosts)


def change_to_wire(snapshot: Snapshot, since: int, changed: Iterable[str]) -> Wire:
    """Write what changed.

    :param snapshot: the newest.
    :param since: an earlier version of its term.
    :param changed: names of the hosts that came, changed or went since then.
    """
    return _to_wire(snapshot, since, changed)


def stamp_of(message: object) -> tuple[int, int]:
    """Read the term and the version of a snapshot, which say whether it is worth reading.

    :raises BadMessage: when they are missing or no numbers.
    """
    fields = mapping(message, "snapshot")
    term, version = (integer(fields.get(name), name, 0, LARGEST) for name in ("term", "version"))
    return term, version


def snapshot_from_wire(message: Mapping[str, Any], held: Snapshot | None = None) -> Snapshot:
    """Read a snapshot.

    :param held: the one to which a change applies.
    :raises MissedSnapshot: for a change to another one than is held.
    :raises BadMessage: when it does not have the form that this module gives it.
    """
    term, version = stamp_of(message)
    try:
        since = message["since"]
        hosts: dict[str, Host] = {}
        if since is not None:
            if held is None or held.stamp != (term, since):
                raise MissedSnapshot
            hosts.update(held.hosts)
        for name, host in message["hosts"].items():
            if host is None:
                hosts.pop(name, None)
            else:
                hosts[name] = _host_from_wire(name, host)
        pools = {pool["name"]: _pool_from_wire(pool) for pool in message["pools"]}
        if DEFAULT_POOL not in pools:
            raise BadMessage("snapshot: the default pool is missing")
        return Snapshot(
            term=term,
            version=version,
            taken_at_s=message["taken_at_s"],
            pools=pools,
            hosts=hosts,
            reserve=ReserveMode(message["reserve"]),
            # Earlier releases do not tell.
            arrivals={
                move: Arrival(each["target"], _resources(each["demand"]))
                for move, each in message.get("arrivals", {}).items()
            },
        )
    except BadMessage:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadMessage(f"snapshot: {type(error).__name__}: {error}") from None


def _to_wire(snapshot: Snapshot, since: int | None, names: Iterable[str]) -> Wire:
    return {
        "term": snapshot.term,
        "version": snapshot.version,
        "since": since,
        "taken_at_s": snapshot.taken_at_s,
        "reserve": snapshot.reserve.value,
        "arrivals": {
            move: {"target": each.target, "demand": resources_to_wire(each.demand)}
            for move, each in snapshot.arrivals.items()
        },
        "pools": [_pool_to_wire(pool) for pool in snapshot.pools.values()],
        "hosts": {
            name: None if (host := snapshot.hosts.get(name)) is None else _host_to_wire(host)
            for name in names
        },
    }


def _host_to_wire(host: Host) -> Wire:
    return {
        "capacity": resources_to_wire(host.capacity),
        "score": number_to_wire(host.score),
        "used": {name: resources_to_wire(used) for name, used in host.used.items()},
        "other": resources_to_wire(host.other),
        "task_count": host.task_count,
        "fresh": host.fresh,
        "pool": host.pool,
        **({"drained": True} if host.drained else {}),
    }


def _host_from_wire(name: str, message: Mapping[str, Any]) -> Host:
    return Host(
        name=name,
        capacity=_resources(message["capacity"]),
        score=exact(message["score"]),
        used={framework: _resources(used) for framework, used in message["used"].items()},
        task_count=message["task_count"],
        fresh=message["fresh"],
        pool=message["pool"],
        other=_resources(message["other"]),
        # Earlier releases do not tell.
        drained=bool(message.get("drained", False)),
    )


def _pool_to_wire(pool: Pool) -> Wire:
    return {
        "name": pool.name,
        "capacity": resources_to_wire(pool.capacity),
        # A list, since the order of the frameworks breaks ties.
        "frameworks": [_framework_to_wire(one) for one in pool.frameworks.values()],
    }


def _pool_from_wire(message: Mapping[str, Any]) -> Pool:
    frameworks = [_framework_from_wire(one) for one in message["frameworks"]]
    return Pool(
        name=message["name"],
        capacity=_resources(message["capacity"]),
        frameworks={framework.name: framework for framework in frameworks},
    )


_NUMBERS = (
    "weight",
    "fair_share",
    "entitlement",
    "floor",
    "head_threshold",
    "borrowed",
    "owed",
    "squeeze",
)


def _framework_to_wire(framework: Framework) -> Wire:
    return {
        "name": framework.name,
        "used": resources_to_wire(framework.used),
        "wanted": resources_to_wire(framework.wanted),
        "rung": framework.rung.value,
        **{name: number_to_wire(getattr(framework, name)) for name in _NUMBERS},
    }


def _framework_from_wire(message: Mapping[str, Any]) -> Framework:
    return Framework(
        name=message["name"],
        used=_resources(message["used"]),
        wanted=_resources(message["wanted"]),
        rung=Rung(message["rung"]),
        **{name: exact(message[name]) for name in _NUMBERS},
    )


def _resources(amounts: Mapping[str, object]) -> Resources:
    # Resources that a newer quota service may add are left out.
    return Resources(
        **{name: exact(amount) for name, amount in amounts.items() if name in Resources._fields}
    )
