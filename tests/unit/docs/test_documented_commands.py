# SPDX-License-Identifier: Apache-2.0
"""Every command that the documents give is accepted by the real parser of its program; nothing is run."""

from __future__ import annotations

import functools
import logging
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cliff.app import App
from openstackclient.shell import OpenStackShell
from oslo_config import cfg
from oslo_log import log
from oslo_upgradecheck import upgradecheck

from hybrid_sched.cmd import simulate, status
from hybrid_sched.cmd.manage.app import ManageApp
from hybrid_sched.conf import api as api_options
from lab import __main__ as lab_program
from lab.documented import Command, commands, pages
from lab.layout import CHECKOUT

ALL = sorted({command for page in pages() for command in commands(page)}, key=str)
#: What pages have in the place of values that a parser looks at.
PLACEHOLDERS = {"N": "2", "STATE": "waiting", "UUID": "6d2bd0e0-5d4e-4d5b-9f0c-000000000001"}
_OWN_UNITS = {path.stem for path in (CHECKOUT / "etc/hybrid-sched/systemd").glob("*.service")}
_THEIR_UNITS = {"nova-scheduler", "zun-api", "zun-compute", "nova-compute", "libvirtd", "docker"}


class Refused(Exception):
    """The program has no such command."""


@functools.cache
def openstack() -> App:
    """Give the real client with the commands of all its plug-ins."""
    shell = OpenStackShell()
    shell.options, _ = shell.parser.parse_known_args([])
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        shell.configure_logging()
        shell.initialize_app([])
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    return shell


@functools.cache
def manage() -> App:
    return ManageApp()


def parse_with_cliff(app: App, given: Sequence[str], whole: bool) -> None:
    app.options, left = app.parser.parse_known_args(list(given))
    try:
        command, name, rest = app.command_manager.find_command(left)
    except ValueError as fault:
        # In a sentence a group of commands may be meant, such as 'openstack hybrid'.
        group = " ".join(word for word in left if word != "--help")
        if whole or not any(f"{name} ".startswith(f"{group} ") for name, _ in app.command_manager):
            raise Refused(str(fault)) from None
        return
    if whole or rest:
        command(app, None).get_parser(name).parse_args(rest)


def parse_with_oslo(program: str, given: Sequence[str]) -> None:
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    if program == "hybrid-sched-api":
        conf.register_cli_opts(api_options.CLI_OPTIONS)
    conf(list(given), prog=program, default_config_files=[], default_config_dirs=[])


def parse_status(given: Sequence[str]) -> None:
    conf = cfg.ConfigOpts()
    conf.register_cli_opts(status._CLI_OPTIONS)
    upgradecheck.register_cli_options(conf, upgradecheck.UpgradeCommands())
    conf(list(given), default_config_files=[], default_config_dirs=[])


def parse_make(given: Sequence[str]) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    for variable in (word.split("=")[0] for word in given if "=" in word):
        if not re.search(rf"\$\({variable}\)|^{variable} \?=", makefile, re.MULTILINE):
            raise Refused(f"the Makefile reads no {variable}")
    done = subprocess.run(
        ["make", "-n", *given], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Refused(done.stderr)


def parse_systemctl(given: Sequence[str]) -> None:
    action, *units = [word for word in given if not word.startswith("--")]
    known = {"cat", "start", "stop", "restart", "reload", "enable", "disable", "status"}
    if action not in known or not set(units) <= _OWN_UNITS | _THEIR_UNITS:
        raise Refused(f"systemctl {action} {units}")


def parse(command: Command) -> None:
    """Have the parser of its program accept a command.

    :raises Refused: when it does not; what it says is on standard error.
    """
    try:
        _parse(command)
    except SystemExit as ended:
        # Help ends a program too.
        if ended.code:
            raise Refused(command.text) from None


def _parse(command: Command) -> None:
    program, *given = [PLACEHOLDERS.get(word, word) for word in command.words]
    match program:
        case "openstack":
            parse_with_cliff(openstack(), given, command.whole)
        case "hybrid-sched-manage":
            parse_with_cliff(manage(), given, command.whole)
        case "hybrid-sched-simulate" if command.whole or given[1:]:
            simulate.parser().parse_args(given)
        case "hybrid-sched-simulate":
            simulate.parser().parse_args([*given, "--help"])
        case "hybrid-sched-status":
            parse_status(given)
        case "hybrid-sched-api" | "hybrid-sched-agent" | "hybrid-sched-engine":
            parse_with_oslo(program, given)
        case "make":
            parse_make(given)
        case "python":
            lab_program.parser().parse_args(given[2:])
        case "systemctl":
            parse_systemctl(given)
        case _:
            raise Refused(f"there is no program {program}")


def test_commands_are_found_at_all() -> None:
    assert len(ALL) > 140
    assert {command.words[0] for command in ALL if command.whole} == {
        *("openstack", "hybrid-sched-manage", "hybrid-sched-simulate", "hybrid-sched-status"),
        *("hybrid-sched-api", "make", "python", "systemctl"),
    }


@pytest.mark.parametrize("command", ALL, ids=[f"{it.page}: {it.text}" for it in ALL])
def test_its_program_accepts_it(command: Command) -> None:
    parse(command)


@pytest.mark.parametrize(
    "line",
    [
        "openstack hybrid task lose",
        "openstack hybrid task list --lost",
        "openstack server list --lost",
        "openstack --lost server list",
        "hybrid-sched-manage task lose",
        "hybrid-sched-manage task list --state lost",
        "hybrid-sched-manage --lost task list",
        "hybrid-sched-simulate lose",
        "hybrid-sched-simulate pack --lost",
        "hybrid-sched-status upgrade check --lost",
        "hybrid-sched-api --port lost",
        "hybrid-sched-engine --lost",
        "hybrid-sched-lost",
        "make lost",
        "make test LOST=1",
        "systemctl restart lost",
        "python -m lab lose",
    ],
)
@pytest.mark.parametrize(
    "page",
    [
        "So::\n\n    {}   # words\n",
        ".. code-block:: console\n\n   # {}\n   answer\n",
        "One [``{} x``] that there is not.\n",
    ],
    ids=["literal", "console", "named"],
)
def test_a_page_with_a_command_that_there_is_not_is_found_out(
    tmp_path: Path, page: str, line: str
) -> None:
    (tmp_path / "page.rst").write_text(page.format(line))
    [command] = commands(tmp_path / "page.rst")
    with pytest.raises((Refused, cfg.Error)):
        parse(command)


def test_what_is_to_be_typed_has_all_its_arguments_and_what_is_named_may_lack_them() -> None:
    parse(Command("page", "openstack hybrid task show", whole=False))
    with pytest.raises(Refused):
        parse(Command("page", "openstack hybrid task show", whole=True))


def test_a_synopsis_stands_for_each_of_its_alternatives(tmp_path: Path) -> None:
    (tmp_path / "page.rst").write_text(
        "So::\n\n  $ make a [--b | --c C ...] \\\n      [D]   words [of it]\n  not this\n  $ .venv/bin/python -m lab > file\n"
    )
    assert [command.words for command in commands(tmp_path / "page.rst")] == [
        ["make", "a", "--b", "D"],
        ["make", "a", "--c", "C", "D"],
        ["python", "-m", "lab"],
    ]
