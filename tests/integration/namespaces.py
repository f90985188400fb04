# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that a test makes and takes away; the machine's own is not touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from types import TracebackType


def why_not() -> str | None:
    """Say why no namespace can be made here; None when one can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    return None if shutil.which("ip") else "ip is missing: install iproute2 (make packages)"


class Namespace:
    """One network namespace with its loopback up; gone at the end of the ``with``, and links to it too.

    :param label: tells the namespaces of one test apart.
    """

    def __init__(self, label: str) -> None:
        self.name = f"hs-test-{os.getpid()}-{label}"

    def __enter__(self) -> Namespace:
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        ip("netns", "delete", self.name)

    @property
    def prefix(self) -> list[str]:
        """Give the words before a command that is to run inside."""
        return ["ip", "netns", "exec", self.name]

    def join(self, link: str, address: str, other: str, other_link: str) -> None:
        """Make a link from here to another namespace, given by name or by the number of a process in it."""
        ip(
            *("-n", self.name, "link", "add", link),
            *("type", "veth", "peer", "name", other_link, "netns", other),
        )
        self.up(link, address)

    def up(self, link: str, address: str) -> None:
        """Give a link an address and switch it on."""
        ip("-n", self.name, "address", "add", address, "broadcast", "+", "dev", link)
        ip("-n", self.name, "link", "set", link, "up")

    def received_bytes(self, link: str) -> int:
        """Give what a link has received by the kernel's own count."""
        answer = json.loads(ip("-n", self.name, "-json", "-stats", "link", "show", link))
        return int(answer[0]["stats64"]["rx"]["bytes"])


def ip(*arguments: str) -> str:
    """Run iproute2 and give what it says."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout
