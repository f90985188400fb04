# SPDX-License-Identifier: Apache-2.0
"""``why`` and ``why-not``: what became of a request, and what would become of one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from cliff.columns import FormattableColumn
from cliff.show import ShowOne

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Amount, Figures, Moment, Names, Reasons
from hybrid_sched.core.cluster import FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.resources import Resources, exact
from hybrid_sched.core.why import attempts
from hybrid_sched.rpc.attempts import attempt_to_wire
from hybrid_sched.rpc.messages import BadMessage, decision_from_wire
from hybrid_sched.rpc.wire import resources_to_wire


class Why(ShowOne):
    """Say why a server or a container went where it went, or nowhere."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("uuid", metavar="UUID", help="of the server or the container")
        parser.add_argument(
            "--attempt",
            type=int,
            metavar="N",
            help="which attempt to place it, 1 for the oldest that is kept (default: the newest)",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        uuid = parsed_args.uuid
        steps = self.app.ask("decisions", request_uuid=uuid, afterwards=True)
        try:
            found = attempts([decision_from_wire(step) for step in steps])
        except BadMessage as fault:
            raise ManageError(
                f"The answer of the quota service cannot be read ({fault}): use the hybrid-sched-manage of its release."
            ) from None
        if not found:
            raise ManageError(
                f"There is no decision on {uuid}: give the UUID of a server or container that was scheduled, of several "
                "servers made at once the first one. [quota] decisions_retention_days says how long decisions are kept."
            )
        number = len(found) if parsed_args.attempt is None else parsed_args.attempt
        if not 1 <= number <= len(found):
            raise ManageError(f"--attempt: {number} is not there: give 1 to {len(found)}.")
        fields = attempt_to_wire(uuid, found[number - 1], number, len(found))
        return tuple(fields), tuple(
            _SHOWN[name](value) if name in _SHOWN and value is not None else value
            for name, value in fields.items()
        )


class WhyNot(ShowOne):
    """Say whether a guest or container would fit, what stops it on each host, and the smallest changes that let it in."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
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
        parser.add_argument(
            "--pool", metavar="POOL", help="the only pool it may go to (default: any)"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        if parsed_args.flavor is not None and (
            parsed_args.vcpu is not None
            or parsed_args.memory_mb is not None
            or parsed_args.framework not in {None, HYPERVISOR}
        ):
            raise ManageError(
                "--flavor: it tells the demand of a guest: leave --vcpu, --memory-mb and --framework out."
            )
        demand = Resources(vcpu=parsed_args.vcpu or 0, memory_mb=parsed_args.memory_mb or 0)
        answer = self.app.ask(
            "why_not",
            framework=parsed_args.framework or HYPERVISOR,
            demand=resources_to_wire(demand),
            count=parsed_args.count,
            pool="" if parsed_args.pool == "default" else parsed_args.pool,
            flavor=parsed_args.flavor,
        )
        if "fault" in answer:
            raise ManageError(f"The question cannot be answered: {answer['fault']}.")
        shown = {"hosts": _Hosts, "changes": _Changes, "demand": Figures}
        return tuple(answer), tuple(
            shown[name](value) if name in shown else value for name, value in answer.items()
        )


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


_SHOWN = {
    "demand": Figures,
    "when": Moment,
    "picture": _Picture,
    "refused": Reasons,
    "refused_by_other_filters": Names,
    "weights": _Weights,
    "claimed_at": Moment,
}


def _amount(text: str) -> Any:
    try:
        amount = exact(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is negative: give 0 or more")
    return amount
