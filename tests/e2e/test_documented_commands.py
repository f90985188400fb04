# SPDX-License-Identifier: Apache-2.0
"""The documents' own commands, given in the lab as they stand, page by page: what only shows, and what its page undoes."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lab import demo
from lab.cloud import NETWORK, Cloud, wait_for
from lab.documented import Command, commands, pages
from lab.images import CONTAINER_IMAGE
from lab.layout import CHECKOUT, Lab
from lab.processes import StepFailed
from lab.services import hybrid
from lab.walk import Machine

pytestmark = pytest.mark.timeout(900)

_OURS = re.compile(r"(openstack hybrid|hybrid-sched-manage|hybrid-sched-status) ")
#: Pages that test_install_by_hand follows from end to end.
_FOLLOWED = {"install/by-hand", "install/remove"}
#: How commands begin that are not run here, and why.
NOT_RUN = {
    "hybrid-sched-manage doctor --repair": "what it finds in the lab is not its to change",
    "hybrid-sched-manage rebalance apply 4f0c": "an idle cloud has nothing to move, hence no plan",
    "hybrid-sched-manage release-host": "the agent must stand still: test_docker_limits runs it",
    "hybrid-sched-manage scores import /etc": "hosts would count otherwise; it is run with --dry-run",
}
#: Exit codes that the pages give besides 0; a host without a score is a warning.
FINE = {"doctor": range(4), "upgrade": range(2)}
_CONFIG = "/etc/hybrid-sched/hybrid-sched.conf"
_SCORES = "etc/hybrid-sched/hardware-scores.csv"
_TIMEOUT_S = 240


def is_run(command: Command) -> bool:
    begins = any(command.text.startswith(each) for each in NOT_RUN)
    return command.whole and _OURS.match(command.text) is not None and not begins


OF_PAGES = {
    given[0].page: given
    for page in pages()
    if (given := [each for each in commands(page) if is_run(each)])
    and given[0].page not in _FOLLOWED
}


def task(name: str, memory_mb: int) -> dict[str, Any]:
    return {
        "name": name,
        "container": {
            "image": CONTAINER_IMAGE,
            "image_pull_policy": "never",
            "command": ["sleep", "5"],
            "cpu": 0.5,
            "memory_mb": memory_mb,
            "networks": [NETWORK],
        },
    }


class Operator:
    """Somebody on the controller, who puts what is here in the place of what a page leaves to the reader.

    :param lab: a lab that is up.
    :param folder: in which the commands are given.
    """

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._folder = folder
        self._machine = Machine(lab)
        self._machine.make()
        self._machine.path("/etc/hybrid-sched").mkdir(exist_ok=True)
        self._machine.write(_CONFIG, hybrid.engine_config(lab).read_text())
        self._machine.write(f"/{_SCORES}", (CHECKOUT / _SCORES).read_text())
        (folder / "tasks.yaml").write_text(json.dumps({"tasks": [task("documented", 64)]}))
        #: It asks for more than any host has, so that it waits.
        (folder / "waits.yaml").write_text(json.dumps({"tasks": [task("waits", 2**20)]}))
        [self.task] = self.json("openstack hybrid task create tasks.yaml --wait")
        self.server = self.json(f"openstack hybrid task show {self.task['UUID']}")["Server"]
        self._said = ""
        # In this order: what has others in it comes first. Each is worked out when a command has it.
        self._filled: dict[str, Callable[[], str]] = {
            "--submission UUID": lambda: f"--submission {uuid4()}",
            "cancel UUID|NAME": lambda: f"cancel {self._waiting()}",
            "UUID|NAME": lambda: self.task["UUID"],
            "UUID": lambda: self.server,
            "FILE": lambda: "tasks.yaml",
            "STATE": lambda: "waiting",
            **dict.fromkeys(("HOST", "host1", "node1", "node3"), lambda: lab.hosts[0].name),
            "m1.large": lambda: "lab.medium",
            "gold": lambda: "default",
            "81ab": self._planned,
        }

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        return self._machine.run(f"cd {self._folder} && {text}")

    def json(self, text: str) -> Any:
        done = self.run(f"{text} -f json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def give(self, command: Command) -> None:
        """Give a command of a page; see that it ends as the pages say, and tells JSON where it is to."""
        text = command.text.replace("...", "").strip()
        for old, new in self._filled.items():
            text = re.sub(rf"(?<![\w-]){re.escape(old)}(?!\w)", lambda _, new=new: new(), text)
        done = self.run(text)
        self._said = done.stderr
        fine = next((FINE[word] for word in command.words if word in FINE), range(1))
        assert done.returncode in fine, f"{text}: {done.returncode}\n{done.stderr}{done.stdout}"
        assert "Traceback" not in done.stderr
        if ("-f", "json") in itertools.pairwise(command.words):
            json.loads(done.stdout)

    def _waiting(self) -> str:
        [row] = self.json("openstack hybrid task create waits.yaml")
        return str(row["UUID"])

    def _planned(self) -> str:
        found = re.search(r"rebalance apply ([0-9a-f-]{36})", self._said)
        assert found is not None, f"the command before it told of no plan: {self._said}"
        return found[1]


@pytest.fixture(scope="module")
def operator(
    lab: Lab, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    demo.remove_all(lab, cloud)
    made = Operator(lab, tmp_path_factory.mktemp("documented"))
    wait_for(
        lambda: [row["UUID"] for row in hybrid.manage(lab, "receipt", "list")],
        lambda told: made.server in told,
        _TIMEOUT_S,
    )
    yield made
    # Where a page broke off, what it would have undone.
    with contextlib.suppress(StepFailed):
        hybrid.manage(lab, "drain", lab.hosts[0].name, "--undo")
    hybrid.command(lab, "framework", "set-weight", "hypervisor", "default")
    demo.remove_all(lab, cloud)


@pytest.mark.parametrize("page", OF_PAGES)
def test_the_commands_of_a_page_do_what_they_should(page: str, operator: Operator) -> None:
    for command in OF_PAGES[page]:
        operator.give(command)
