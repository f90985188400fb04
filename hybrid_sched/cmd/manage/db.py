# SPDX-License-Identifier: Apache-2.0
"""``db``: the schema of the database."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.command import Command
from cliff.show import ShowOne
from oslo_config import cfg

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.conf import database as options
from hybrid_sched.db import Database, migrations


def named_database() -> Database:
    """Give the database that the configuration names.

    A command says at once that it is away; the services' ``max_retries`` are theirs.
    """
    options.register(cfg.CONF)
    try:
        parameters = options.parameters(cfg.CONF)
    except (cfg.Error, ValueError) as error:
        raise ManageError(f"The group [database] cannot be used: {error}.") from None
    return Database(**{**parameters, "max_retries": 0})


def ready_database() -> Database:
    """Give the database that the configuration names, once its schema is seen to be right."""
    database = named_database()
    database.check()
    return database


class SyncDatabase(Command):
    """Bring the schema of the database up to this release, or to an older revision of it; there is no way back."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "revision",
            nargs="?",
            default=migrations.NEWEST,
            metavar="REVISION",
            help="revision to stop at (default: that of this release)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Run the migrations that are missing."""
        database = named_database()
        before = database.version()
        database.sync(parsed_args.revision)
        after = database.version()
        was = "as before" if before == after else f"it was {before or 'missing'} before"
        self.app.stdout.write(f"The schema is {after} ({was}).\n")


class ShowVersion(ShowOne):
    """Show the revision of the schema and the one that this release needs."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Look at the database."""
        version, newest = named_database().version(), migrations.newest()
        return ("Schema", "This release", "Ready"), (version, newest, version == newest)
