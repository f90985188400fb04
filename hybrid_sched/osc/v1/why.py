# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid why`` and ``why-not``: what became of a request, and what would become of one."""

from __future__ import annotations

import argparse

from osc_lib.command import command

from hybrid_sched.cli.why import (
    add_why_arguments,
    add_why_not_arguments,
    why_fields,
    why_not_fields,
    why_not_question,
)
from hybrid_sched.osc.commands import Fields, api, one


class Why(command.ShowOne):
    """Say why a server or a container went where it went, or nowhere."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_why_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Ask the API."""
        answer = api(self).get("why", parsed_args.uuid, attempt=parsed_args.attempt)
        return one(why_fields(answer["why"]))


class WhyNot(command.ShowOne):
    """Say whether a guest or container would fit, what stops it on each host, and the smallest changes that let it in."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_why_not_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Ask the API."""
        question = why_not_question(parsed_args)
        if question["flavor"] is None:
            del question["flavor"]
        else:
            del question["framework"], question["demand"]
        return one(why_not_fields(api(self).post("why-not", body=question)["why_not"]))
