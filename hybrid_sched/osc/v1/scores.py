# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid score``: what hardware is worth."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.scores import (
    COLUMNS,
    add_pattern_arguments,
    add_score_arguments,
    cells,
    score_row,
)
from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.osc.commands import Fields, api
from hybrid_sched.rpc.wire import number_from_wire, number_to_wire


class ListScores(command.Lister):
    """List the scores of hardware. The row with most literal characters that matches a host counts."""

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        return COLUMNS, (cells(_row(each)) for each in api(self).rows("scores"))


class SetScore(command.ShowOne):
    """Set the score of a kind of hardware."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_score_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Tell the API."""
        row = score_row(parsed_args)
        body = {
            "cpu_model": row.cpu_model,
            "memory_kind": row.memory_kind,
            "score": number_to_wire(row.score),
            "note": row.note,
        }
        return COLUMNS, cells(_row(api(self).put("scores", body=body)["score"]))


class RemoveScore(command.Command):
    """Forget the score of a kind of hardware."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_pattern_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Tell the API."""
        api(self).delete(
            "scores", cpu_model=parsed_args.cpu_model, memory_kind=parsed_args.memory_kind
        )


def _row(row: Mapping[str, Any]) -> ScoreRow:
    score = number_from_wire(row["score"], "score")
    return ScoreRow(row["cpu_model"], row["memory_kind"], score, row["note"])
