# SPDX-License-Identifier: Apache-2.0
"""The frame of ``hybrid-sched-manage``: options, and questions to the quota service that end in time."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from cliff.app import App
from cliff.command import Command
from cliff.commandmanager import CommandManager
from oslo_config import cfg

from hybrid_sched.cli.errors import UserError
from hybrid_sched.clients.engine import EngineClient, NoAnswer

COMMANDS = "hybrid_sched.manage"
_DEFAULT_TIMEOUT_S = 5.0


class ManageError(UserError):
    """Something that the operator can set right; the message says how."""


class ManageApp(App):
    """Ask the quota service and show what it answers."""

    def __init__(self) -> None:
        super().__init__(
            description="See the shares, the hosts and the decisions of hybrid_sched.",
            version=version("hybrid-sched"),
            command_manager=CommandManager(COMMANDS),
            deferred_help=True,
        )
        self._engine = EngineClient(cfg.CONF)
        self._unusable = ""

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: Any = None
    ) -> argparse.ArgumentParser:
        """Add our options to cliff's."""
        parser = super().build_option_parser(description, version, argparse_kwargs)
        parser.add_argument(
            "--config-file",
            action="append",
            metavar="PATH",
            help="configuration file that names the message broker and the database; by default that of the services",
        )
        parser.add_argument(
            "--timeout",
            type=_positive_seconds,
            default=_DEFAULT_TIMEOUT_S,
            metavar="SECONDS",
            help=f"longest time to wait for an answer (default: {_DEFAULT_TIMEOUT_S:g})",
        )
        return parser

    def configure_logging(self) -> None:
        """Keep the bus and the database quiet unless debugging: what it would say is said in one sentence by us."""
        super().configure_logging()
        if not self.options.debug:
            for name in ("oslo", "oslo_messaging", "oslo_db", "alembic", "amqp", "kombu"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def initialize_app(self, argv: Sequence[str]) -> None:
        """Read the configuration once a command is known."""
        arguments = [f"--config-file={path}" for path in self.options.config_file or ()]
        try:
            cfg.CONF(arguments, project="hybrid-sched", prog=self.NAME)
        except cfg.Error as error:
            # Told when the command runs: what it means for the exit code is the command's to say.
            self._unusable = f"{error}. Name a readable file with --config-file."

    def require_configuration(self) -> None:
        """See that the configuration could be read.

        :raises ManageError: when it could not.
        """
        if self._unusable:
            raise ManageError(self._unusable)

    def prepare_to_run_command(self, cmd: Command) -> None:
        """Let no command run without its configuration, but those that tell of it themselves."""
        if not getattr(cmd, "tells_of_configuration", False):
            self.require_configuration()

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call the quota service.

        :param method: of the topic of the engine.
        :param arguments: of the method.
        :returns: its answer.
        :raises ManageError: when there is none in time, or the broker cannot be used.
        """
        try:
            return self._engine.ask(method, self.options.timeout, arguments)
        except NoAnswer as error:
            raise ManageError(str(error)) from None


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: of the command line; None for the process's own.
    :returns: the exit code.
    """
    return int(ManageApp().run(list(sys.argv[1:] if arguments is None else arguments)))
