# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lab.layout import CHECKOUT, Lab
from lab.walk import Block, Machine, as_unit_says, blocks

PAGES = [CHECKOUT / "doc" / "source" / "install" / name for name in ("by-hand.rst", "remove.rst")]
ALL = [(page, block) for page in PAGES for block in blocks(page)]
_UNITS = CHECKOUT / "etc" / "hybrid-sched" / "systemd"


def test_blocks_are_read_with_what_the_page_says_of_them(tmp_path: Path) -> None:
    page = tmp_path / "page.rst"
    page.write_text(
        "Text::\n\n    not this\n\n"
        ".. code-block:: ini\n   :caption: /etc/a.conf\n   :name: here-conf\n\n   [a]\n   b = c\n\n   [d]\n\n"
        "* item\n\n  .. code-block:: console\n\n     # first\n     answer\n     $ second\n\nEnd.\n"
    )
    assert blocks(page) == [
        Block("ini", "here-conf", "/etc/a.conf", "[a]\nb = c\n\n[d]\n"),
        Block("console", "", "", "# first\nanswer\n$ second\n"),
    ]
    assert blocks(page)[1].commands == ["first", "second"]


def test_every_block_of_the_pages_says_where_it_belongs() -> None:
    assert len(ALL) > 12
    names = [block.name for _, block in ALL]
    assert len(set(names)) == len(names)
    for page, block in ALL:
        where = block.name.partition("-")[0]
        assert where in {"controller", "compute", "everywhere"}, f"{page.name}: {block.name}"
        if block.language == "ini":
            assert block.caption.startswith("/etc/")
        else:
            assert block.commands


def written(page: Path) -> set[str]:
    text = "\n".join(block.text for each, block in ALL if each == page)
    files = {block.caption for each, block in ALL if each == page and block.caption}
    files |= set(re.findall(r"install -D?.* (/etc/\S+[^/\s])$", text, re.M))
    folders = re.findall(r"install -m \S+ \S+/(\S+\.service) (/etc/\S+/)$", text, re.M)
    return files | {f"{folder}{name}" for name, folder in folders}


def test_what_one_page_writes_the_other_removes() -> None:
    install, remove = PAGES
    removed = {
        word
        for page, block in ALL
        if page == remove
        for command in block.commands
        if command.startswith("rm ")
        for word in command.split()[1:]
    }
    files = written(install)
    assert len(files) >= 6
    for file in files:
        assert file in removed or any(file.startswith(f"{each}/") for each in removed), file


def test_a_unit_is_run_with_its_account_and_capabilities() -> None:
    engine = as_unit_says((_UNITS / "hybrid-sched-engine.service").read_text())
    assert engine == [
        *("setpriv", "--no-new-privs", "--bounding-set=-all"),
        *("--reuid=hybrid-sched", "--regid=hybrid-sched", "--clear-groups"),
        "/usr/local/bin/hybrid-sched-engine",
    ]
    agent = as_unit_says((_UNITS / "hybrid-sched-agent.service").read_text())
    assert agent == [
        *("setpriv", "--no-new-privs"),
        "--bounding-set=-all,+net_admin,+sys_admin,+sys_ptrace,+dac_override",
        "/usr/local/bin/hybrid-sched-agent",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces are root's to make")
def test_accounts_folders_and_links_are_made_and_removed_by_the_pages_own_commands(
    tmp_path: Path,
) -> None:
    lab = Lab((), state=tmp_path / "state")
    machine = Machine(lab)
    machine.make()
    before = Path("/etc/passwd").read_text()
    named = {block.name: block for _, block in ALL}

    def follow(name: str) -> None:
        for command in named[name].commands:
            if command.startswith("pip "):
                continue
            text = command.replace("/opt/openstack/bin", str(lab.bin))
            done = machine.run(f"cd {CHECKOUT / 'etc' / 'hybrid-sched'} && {text}")
            if not command.startswith("cd "):
                assert done.returncode == 0, f"{command}: {done.stderr}"

    follow("everywhere-package")
    follow("everywhere-account")
    done = machine.run(
        "stat -c '%a %U %G' /etc/hybrid-sched /var/lib/hybrid-sched; hybrid-sched-manage --version"
    )
    assert done.stdout.splitlines()[:2] == [
        "750 root hybrid-sched",
        "750 hybrid-sched hybrid-sched",
    ]
    assert "hybrid-sched-manage" in done.stdout
    machine.write("/etc/nova/nova.conf.d/x.conf", "[a]\n")
    assert machine.run("cat /etc/nova/nova.conf.d/x.conf").stdout == "[a]\n"
    follow("everywhere-out")
    done = machine.run(
        "id hybrid-sched; ls -d /etc/hybrid-sched /var/l*/hybrid-sched /usr/local/bin/*"
    )
    assert done.stdout == ""
    assert Path("/etc/passwd").read_text() == before
