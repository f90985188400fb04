# SPDX-License-Identifier: Apache-2.0
"""``release-host``: put back what limited the tasks of this host before the agent touched them."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from cliff.lister import Lister
from oslo_config import cfg

from hybrid_sched import loading
from hybrid_sched.agent.records import shown
from hybrid_sched.agent.release import PutBack, isolators_of, release
from hybrid_sched.agent.replica import Replica, ReplicaInUse
from hybrid_sched.cli.columns import Limit
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.conf import agent

_ISOLATORS = "hybrid_sched.isolator"


class ReleaseHost(Lister):
    """Put back every limit of this host's tasks that hybrid-sched-agent has changed, and list them; stop the agent first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--dry-run", action="store_true", help="only list what would be put back"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Work with the agent's own state and isolators."""
        agent.register(cfg.CONF)
        options = cfg.CONF.agent
        try:
            replica = Replica(Path(options.state_path), options.host)
        except ReplicaInUse:
            raise ManageError(
                f"hybrid-sched-agent runs for host {options.host!r} and would set the limits again: stop it first."
            ) from None
        with contextlib.closing(replica):
            if replica.fault is not None:
                raise ManageError(replica.fault)
            try:
                isolators = loading.load(_ISOLATORS, isolators_of(replica.state), cfg.CONF)
            except loading.PluginNotFound as error:
                raise ManageError(
                    f"What an isolator has set cannot be put back: {error}. Install it again."
                ) from None
            done, faults = release(isolators, replica, dry_run=parsed_args.dry_run)
        if faults:
            for fault in faults[:-1]:
                self.app.LOG.error("%s", fault)
            raise ManageError(
                f"{faults[-1]} {len(done)} limit(s) were put back, the others are kept: try again."
            )
        return ("Task", "Isolator", "Limit", "Now", "Before"), [_row(each) for each in done]


def _row(each: PutBack) -> tuple[Any, ...]:
    return (
        *(each.uuid, each.isolator, each.aspect.value),
        *(Limit(shown(each.now)), Limit(shown(each.before))),
    )
