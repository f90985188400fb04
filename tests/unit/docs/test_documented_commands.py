# SPDX-License-Identifier: Apache-2.0
"""Every command that the documents name is one that there is, with the options that they give it."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cliff.commandmanager import CommandManager

from hybrid_sched.cmd import simulate
from hybrid_sched.cmd.manage.app import COMMANDS, ManageApp
from lab import __main__ as lab_program

CHECKOUT = Path(__file__).parents[3]
PAGES = [
    CHECKOUT / "README.rst",
    # What is to come is told of in the roadmap.
    *(p for p in sorted((CHECKOUT / "doc/source").rglob("*.rst")) if p.stem != "roadmap"),
]
_PROGRAM = r"(?:hybrid-sched-[a-z]+|openstack|make|python -m lab|systemctl)"
_PREFIX = r"(?:sudo -u \S+ )?(?:\.venv/bin/)?"
_IN_BLOCK = re.compile(rf"^\s+(?:[#$] )?{_PREFIX}({_PROGRAM}(?: .*)?)$")
_IN_TEXT = re.compile(rf"``{_PREFIX}({_PROGRAM} [^`]+)``")
#: What comes after the command: the next one, a file for what it says, or words about it.
_REST = re.compile(r" \\?$|  +[\w(].*$| #.*$| [|;] .*$| 2?> ?\S.*$| && .*$")
_OWN_UNITS = {path.stem for path in (CHECKOUT / "etc/hybrid-sched/systemd").glob("*.service")}
_THEIR_UNITS = {"nova-scheduler", "zun-api", "zun-compute", "nova-compute", "libvirtd", "docker"}


def commands(page: Path) -> Iterator[str]:
    """Give the commands of a page; one that goes on in the next line as one."""
    text = page.read_text()
    for line in re.sub(r" \\\n\s+", " ", text).splitlines():
        found = _IN_BLOCK.match(line)
        if found is not None:
            yield _REST.sub("", found[1]).strip()
    for command in _IN_TEXT.findall(text.replace("\n", " ")):
        yield re.sub(r"\s+", " ", command)


ALL = sorted({(page.stem, command) for page in PAGES for command in commands(page)})


def words(command: str) -> list[str]:
    """Split a command; signs of a synopsis (brackets, ellipses) say nothing of it."""
    try:
        split = shlex.split(command)
    except ValueError:
        # An apostrophe in the words about it.
        split = command.split()
    bare = [word.strip("[]") for word in split]
    return [word for word in bare if word not in {"", "|", "...", "…"}]


def check_options(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    known = parser._option_string_actions
    for word in given:
        if re.match(r"--?[a-zA-Z]", word):
            name = word.split("=")[0]
            short = not word.startswith("--") and word[:2] in known
            assert name in known or short, f"there is no option {name}"


def check_parser(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Check words against a parser and its subparsers."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            at = next((i for i, word in enumerate(given) if not word.startswith("-")), None)
            if at is None:
                break
            assert given[at] in action.choices, f"there is no command {given[at]}"
            check_options(parser, given[:at])
            return check_parser(action.choices[given[at]], given[at + 1 :])
    check_options(parser, given)
    return None


def without_globals(parser: argparse.ArgumentParser, given: Sequence[str]) -> list[str]:
    """Take options of the program itself away, which come first."""
    left = list(given)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        action = parser._option_string_actions.get(option.split("=")[0])
        assert action is not None, f"there is no option {option}"
        if action.nargs != 0 and "=" not in option:
            left.pop(0)
    return left


def check_manage(given: Sequence[str]) -> None:
    app = ManageApp()
    left = without_globals(app.parser, given)
    if left in ([], ["complete"]):
        return
    try:
        command, name, rest = CommandManager(COMMANDS).find_command(left)
    except ValueError:
        # A group of commands, such as 'scores', may be meant.
        groups = {entry.split()[0] for entry, _ in CommandManager(COMMANDS)}
        assert len(left) == 1, f"there is no command {' '.join(left)}"
        assert left[0] in groups, f"there is no command {left[0]}"
        return
    check_options(command(app, None).get_parser(name), rest)


def check_openstack(given: Sequence[str]) -> None:
    left = list(given)
    while left and left[0].startswith("-"):
        assert re.match(r"--os-[a-z-]+$", left[0]), f"{left[0]} is no option of the client"
        del left[:2]
    plugins = {
        entry.name.replace("_", " "): entry
        for distribution in metadata.distributions()
        for entry in distribution.entry_points
        # The others are the plug-ins themselves.
        if entry.group.startswith("openstack.") and not entry.group.startswith("openstack.cli.")
    }
    if left and left[0] == "complete":
        # The shell's own, as is help.
        return
    for length in range(len(left), 0, -1):
        entry = plugins.get(" ".join(left[:length]))
        if entry is not None:
            app = SimpleNamespace(options=SimpleNamespace(), client_manager=SimpleNamespace())
            check_options(entry.load()(app, None).get_parser(entry.name), left[length:])
            return
    group = " ".join(word for word in left if word not in {"--help", "..."})
    if not any(name.startswith(f"{group} ") for name in plugins):
        pytest.fail(f"there is no command {group}, nor commands that begin so")


def check_make(given: Sequence[str]) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    targets = re.findall(r"(?m)^([a-z][a-z0-9-]*):", makefile)
    for word in given:
        if "=" not in word:
            assert word in targets, f"the Makefile has no target {word}"


def check_systemctl(given: Sequence[str]) -> None:
    action, *units = [word for word in given if not word.startswith("--")]
    assert action in {"cat", "start", "stop", "restart", "reload", "enable", "disable", "status"}
    for unit in units:
        assert unit in _OWN_UNITS | _THEIR_UNITS, f"there is no unit {unit}"


def test_commands_are_found_at_all() -> None:
    programs = {command.split()[0] for _, command in ALL}
    assert {"hybrid-sched-manage", "hybrid-sched-simulate", "openstack", "make"} <= programs
    assert len(ALL) > 80


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{p}: {c}" for p, c in ALL])
def test_it_is_one_that_there_is(page: str, command: str) -> None:
    program, *given = words(command)
    match program:
        case "hybrid-sched-manage":
            check_manage(given)
        case "hybrid-sched-simulate":
            check_parser(simulate.parser(), given)
        case "openstack":
            check_openstack(given)
        case "make":
            check_make(given)
        case "python":
            check_parser(lab_program.parser(), given[2:])
        case "systemctl":
            check_systemctl(given)
        case _:
            scripts = {e.name for e in metadata.entry_points(group="console_scripts")}
            assert program in scripts


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (check_manage, ["task", "lose"]),
        (check_manage, ["task", "list", "--lost"]),
        (check_openstack, ["server", "lose"]),
        (check_openstack, ["server", "list", "--lost"]),
        (check_make, ["lost"]),
        (check_systemctl, ["restart", "lost"]),
    ],
)
def test_one_that_there_is_not_is_found_out(check: Any, given: list[str]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(given)
