# SPDX-License-Identifier: Apache-2.0
"""Why no host takes a task, for the operator who has to make room."""

from __future__ import annotations

from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.places import Place, Resident
from hybrid_sched.core.resources import Resources

#: Hosts of one reason that are named; the others are counted.
_NAMED = 3


def why_no_target(board: Board, place: Place, resident: Resident) -> str:
    """Say for each host, those of one reason together, why it does not take a task.

    :param place: where the task is.
    :returns: phrases, to be put after a semicolon; empty when there is no other host with a fresh report.
    """
    others = [each.name for each in board.places if each.name != place.name]
    reasons = {host: board.barred(place, resident, host) for host in others}
    refused = board.judged(resident, [h for h in others if reasons[h] is None]).refused
    hosts: dict[str, list[str]] = {}
    for host in others:
        why = reasons[host] or (refused[host].text if host in refused else None)
        hosts.setdefault(why or _overfilled(board, host, resident), []).append(host)
    return "; ".join(f"{_names(named)}: {why}" for why, named in hosts.items())


def _overfilled(board: Board, host: str, resident: Resident) -> str:
    found = board.at(host).overfilled(resident, board.parameters)
    if found is None:
        return "the gain would be below the cost of the move"
    resource, part = found
    target = board.parameters.targets[resource]
    return f"it would be at {part:.0%} of its {Resources._fields[resource]}, above its target {target:.0%}"


def _names(hosts: list[str]) -> str:
    more = len(hosts) - _NAMED
    return ", ".join(hosts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
