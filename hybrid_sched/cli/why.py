# SPDX-License-Identifier: Apache-2.0
"""How it is shown what became of a request, and what would become of one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from cliff.columns import FormattableColumn

from hybrid_sched.cli.columns import Amount, Figures, Moment, Names, OptionalMoment, Reasons
from hybrid_sched.cli.errors import UserError
from hybrid_sched.cli.shares import pool_of
from hybrid_sched.core.cluster import FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.resources import Resources, exact
from hybrid_sched.rpc.wire import resources_to_wire


def add_why_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``why``."""
    parser.add_argument("uuid", metavar="UUID", help="of the server or the container")
    parser.add_argument(
        "--attempt",
        type=int,
        metavar="N",
        help="which attempt to place it, 1 for the oldest that is kept (default: the newest)",
    )


def why_fields(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Show what became of a request.

    :param attempt: as :func:`hybrid_sched.rpc.attempts.attempt_to_wire` writes it.
    """
    shown = {
        "demand": Figures,
        "when": Moment,
        "picture": _Picture,
        "refused": Reasons,
        "refused_by_other_filters": Names,
        "weights": _Weights,
        "claimed_at": OptionalMoment,
    }
    return {name: shown[name](value) if name in shown else value for name, value in attempt.items()}


def add_why_not_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``why-not``."""
    parser.add_argument(
        "--framework",
        choices=FRAMEWORKS,
        default=None,
        help=f"whose request it would be (default: {HYPERVISOR})",
    )
    parser.add_argument("--vcpu", type=_amount, metavar="N", help="cores of each task")
    parser.add_argument("--memory-mb", type=_amount, metavar="N", help="memory of each, MiB")
    parser.add_argument(
        "--flavor",
        metavar="NAME",
        help="name or ID of a flavor of Nova, in place of --vcpu and --memory-mb",
    )
    parser.add_argument(
        "--count", type=int, default=1, metavar="N", help="tasks at once (default: 1)"
    )
    parser.add_argument("--pool", metavar="POOL", help="the only pool it may go to (default: any)")


def why_not_question(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """Give what is sent to the quota service.

    :param parsed_args: of :func:`add_why_not_arguments`.
    :raises UserError: when they contradict each other.
    """
    if parsed_args.flavor is not None and (
        parsed_args.vcpu is not None
        or parsed_args.memory_mb is not None
        or parsed_args.framework not in {None, HYPERVISOR}
    ):
        raise UserError(
            "--flavor: it tells the demand of a guest: leave --vcpu, --memory-mb and --framework out."
        )
    demand = Resources(vcpu=parsed_args.vcpu or 0, memory_mb=parsed_args.memory_mb or 0)
    return {
        "framework": parsed_args.framework or HYPERVISOR,
        "demand": resources_to_wire(demand),
        "count": parsed_args.count,
        "pool": pool_of(parsed_args.pool),
        "flavor": parsed_args.flavor,
    }


def why_not_fields(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Show whether a request would fit, what stops it on each host, and which changes would let it in."""
    shown = {"hosts": _Hosts, "changes": _Changes, "demand": Figures}
    return {name: shown[name](value) if name in shown else value for name, value in answer.items()}


class _Hosts(FormattableColumn[Sequence[Mapping[str, Any]]]):
    """What stops a request on each host."""

    def human_readable(self) -> str:
        """Show the hosts that share a reason in one line."""
        reasons = {row["host"]: f"{row['rule'] or 'passes'}: {row['text']}" for row in self._value}
        return Reasons(reasons).human_readable()


class _Changes(FormattableColumn[Sequence[Mapping[str, Any]]]):
    """Changes that would let a request in."""

    def human_readable(self) -> str:
        """Show a line for each."""
        return "\n".join(f"{row['kind']}: {row['text']}" for row in self._value)


class _Weights(FormattableColumn[Sequence[Mapping[str, Any]]]):
    """Hosts with their weights, best first."""

    def human_readable(self) -> str:
        """Show a line for each."""
        return "\n".join(
            f"{row['host']}: {Amount(row['weight']).human_readable()}" for row in self._value
        )


class _Picture(FormattableColumn[Mapping[str, Any]]):
    """The snapshot that was used."""

    def human_readable(self) -> str:
        """Show its version and age."""
        if self._value["age_s"] is None:
            return "there was no snapshot"
        return f"snapshot {self._value['version']}, {self._value['age_s']:.1f} s old"


def _amount(text: str) -> Any:
    try:
        amount = exact(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is negative: give 0 or more")
    return amount
