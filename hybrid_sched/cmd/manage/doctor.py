# SPDX-License-Identifier: Apache-2.0
"""``doctor``: what is wrong with hosts that Nova and Zun share, and what repairs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cliff.lister import Lister
from oslo_config import cfg

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.core.doctor.findings import Finding, Severity, exit_code

if TYPE_CHECKING:
    from hybrid_sched.cmd.manage.treatment import Treated

_COLUMNS = ("Severity", "Code", "Host", "Finding", "Remedy", "Repair", "Done")
_DEFAULT_SETTLE_S = 5.0


class Doctor(Lister):
    """Examine the hosts that Nova and Zun share, say what is wrong and what helps, and repair it when asked to.

    The exit code is 0 when nothing or only notes are left, 1 for warnings, 2 for errors, and 3 when something could not be
    looked at.
    """

    #: A configuration that cannot be read is something that could not be looked at.
    tells_of_configuration = True

    _left: tuple[Finding, ...] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        # argparse's own exit code for bad options would mean errors on the hosts.
        parser.error = _refuse(parser)  # type: ignore[method-assign]
        parser.add_argument(
            "--repair",
            action="store_true",
            help="repair what can be: what is safe at once, the rest after a question",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only say what --repair would do; nothing is written",
        )
        parser.add_argument(
            "--yes", action="store_true", help="take yes for the answer to all questions"
        )
        parser.add_argument(
            "--settle",
            type=_seconds,
            default=_DEFAULT_SETTLE_S,
            metavar="SECONDS",
            help="pause between the two looks at the cloud; what is on its way must arrive in it "
            f"(default: {_DEFAULT_SETTLE_S:g})",
        )
        for service in ("nova", "zun"):
            parser.add_argument(
                f"--{service}-conf",
                type=Path,
                default=Path(f"/etc/{service}/{service}.conf"),
                metavar="PATH",
                help=f"configuration file of {service}, or a folder of several (default: /etc/{service}/{service}.conf)",
            )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Look, judge, and repair."""
        self.app.require_configuration()
        # cliff imports the modules of all commands, whichever is run.
        from hybrid_sched.cmd.manage import treatment  # noqa: PLC0415 - clients and daemons' libraries take long to import

        treated = treatment.treat(cfg.CONF, parsed_args, self.app.ask, self._ask_operator)
        self._left = tuple(each.finding for each in treated if not each.is_over)
        return _COLUMNS, (_cells(each) for each in treated)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Give the severity of what is left."""
        if self.app.stdout.isatty():
            # The sentences are longer than a terminal is wide.
            parsed_args.fit_width = True
        try:
            code = int(super().run(parsed_args))
        except (ManageError, TimeoutError) as error:
            self.app.stderr.write(f"The doctor could not look: {error or 'it took too long'}\n")
            return int(Severity.UNKNOWN)
        return code or exit_code(self._left)

    def _ask_operator(self, finding: Finding) -> str:
        """Ask for a yes; gives why nothing is to be done, empty for a yes."""
        if not self.app.stdin.isatty():
            return "not done: it asks first and nobody can answer; say --yes"
        # Where the table or JSON goes, no question may.
        self.app.stderr.write(f"{finding.sentence}\n{str(finding.repair).capitalize()}? [y/N] ")
        self.app.stderr.flush()
        answer = self.app.stdin.readline().strip().lower()
        return "" if answer in ("y", "yes") else "not done: you said no"


def _cells(treated: Treated) -> tuple[Any, ...]:
    finding = treated.finding
    return (
        finding.severity.name.lower(),
        finding.code,
        finding.host,
        finding.sentence,
        finding.remedy,
        finding.safety.value,
        treated.done,
    )


def _refuse(parser: argparse.ArgumentParser) -> Callable[[str], NoReturn]:
    def refuse(message: str) -> NoReturn:
        parser.print_usage(sys.stderr)
        parser.exit(int(Severity.UNKNOWN), f"{parser.prog}: {message}\n")

    return refuse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds
