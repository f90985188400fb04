# SPDX-License-Identifier: Apache-2.0
"""Guests and containers that a test places, one after another, and what the engine thinks of them."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid

#: Memory of a flavor of the lab, in MiB.
MEDIUM_MB, SMALL_MB = 512, 256
_FLAVORS = {MEDIUM_MB: "lab.medium", SMALL_MB: "lab.small"}


class Filling:
    """What one test has placed.

    Names begin with ``demo-``, so that the cloud is tidied up between tests.
    """

    def __init__(self, lab: Lab, cloud: Cloud) -> None:
        self.lab = lab
        self.cloud = cloud
        self._numbers = itertools.count(1)
        self.guests: list[str] = []
        self.containers: list[str] = []

    def guest(self, memory_mb: int) -> bool:
        """Ask for a guest; says whether it was placed, once the engine knows."""
        uuid = self.cloud.create_server(f"demo-g{next(self._numbers)}", _FLAVORS[memory_mb])
        now = wait_for(
            lambda: self.cloud.server(uuid)["status"], lambda seen: seen in {"ACTIVE", "ERROR"}, 90
        )
        if now == "ERROR":
            return False
        self.guests.append(uuid)
        self._wait_until_counted()
        return True

    def container(self, memory_mb: int, **options: object) -> bool:
        """Ask for a container; says whether it was placed, once the engine knows."""
        name = f"demo-c{next(self._numbers)}"
        uuid = self.cloud.create_container(name, 1, memory_mb, ["sleep", "36000"], **options)
        now = wait_for(
            lambda: self.cloud.container(uuid)["status"],
            lambda seen: seen in {"Running", "Error"},
            90,
        )
        if now == "Error":
            return False
        self.containers.append(uuid)
        self._wait_until_counted()
        return True

    def delete_container(self, uuid: str) -> None:
        """Delete a container, and wait until Placement has its claim back and the engine knows."""
        self.cloud.delete_container(uuid)
        self.containers.remove(uuid)
        # Its host's agent may miss it before Zun gives its claim back.
        claims = f"/allocations/{uuid}"
        wait_for(
            lambda: self.cloud.placement.get(claims).json()["allocations"],
            lambda left: not left,
            60,
        )
        self._wait_until_counted()

    def framework(self, name: str) -> dict[str, Any]:
        """Give a framework's row of the shares, exact numbers as fractions."""
        (row,) = [row for row in self.shares() if row["Framework"] == name]
        return row

    def shares(self) -> list[dict[str, Any]]:
        """Give the shares, exact numbers as fractions."""
        return [
            {
                key: Fraction(value["exact"]) if isinstance(value, dict) else value
                for key, value in row.items()
            }
            for row in hybrid.manage(self.lab, "shares", "list")
        ]

    def refusal(self, framework: str) -> str:
        """Give the reasons for which the newest request of a framework was refused everywhere."""

        def newest() -> dict[str, Any]:
            rows = hybrid.manage(self.lab, "decision", "list", "--long")
            return next((row for row in rows if row["Framework"] == framework), {})

        row = wait_for(newest, lambda seen: bool(seen.get("Reasons")) and not seen["Hosts"], 20)
        return "; ".join(row["Reasons"].values())

    def _wait_until_counted(self) -> None:
        wanted = (len(self.guests), len(self.containers))

        def counted() -> tuple[int, int]:
            rows = hybrid.manage(self.lab, "hosts", "list")
            return sum(row["Guests"] for row in rows), sum(row["Containers"] for row in rows)

        wait_for(counted, lambda seen: seen == wanted, 30)
