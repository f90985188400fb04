# SPDX-License-Identifier: Apache-2.0
"""``why`` and ``why-not``: what became of a request, and what would become of one."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.show import ShowOne

from hybrid_sched.cli.why import (
    add_why_arguments,
    add_why_not_arguments,
    why_fields,
    why_not_fields,
    why_not_question,
)
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.core.why import attempts
from hybrid_sched.rpc.attempts import attempt_to_wire
from hybrid_sched.rpc.messages import BadMessage, decision_from_wire


class Why(ShowOne):
    """Say why a server or a container went where it went, or nowhere."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_why_arguments(parser)
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
        fields = why_fields(attempt_to_wire(uuid, found[number - 1], number, len(found)))
        return tuple(fields), tuple(fields.values())


class WhyNot(ShowOne):
    """Say whether a guest or container would fit, what stops it on each host, and the smallest changes that let it in."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_why_not_arguments(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        answer = self.app.ask("why_not", **why_not_question(parsed_args))
        if "fault" in answer:
            raise ManageError(f"The question cannot be answered: {answer['fault']}.")
        fields = why_not_fields(answer)
        return tuple(fields), tuple(fields.values())
