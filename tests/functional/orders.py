# SPDX-License-Identifier: Apache-2.0
"""States of a cluster of 20 hosts, requests, and the order of hosts in which each scheduler must try them.

Nova and Zun cannot be loaded into one process, so each suite holds its scheduler against this one table; both then order
hosts alike. The figures are written out by hand from the rule and not worked out by the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.resources import Resources

#: The hosts, by name. Neither scheduler meets them in this order.
HOSTS = tuple(f"host-{number:02d}" for number in range(1, 21))

#: What runs on each host beforehand, in MiB of its 8192: a guest and a container of half of it each, so that the state is
#: the same for both frameworks. Hosts 16 to 20 are empty, 11 to 15 have as much as 1 to 5.
HELD_MB = dict(
    zip(
        HOSTS,
        (
            *(512, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 4608, 5120),
            *(512, 1024, 1536, 2048, 2560),
            *(0, 0, 0, 0, 0),
        ),
        strict=True,
    )
)

#: The upper median of what one framework holds, half of the above: the size from which a task is a head.
HEAD_FROM_MB = 1024


def held(host: str) -> list[Task]:
    """Give what runs on a host beforehand."""
    half = Resources(vcpu=1, memory_mb=HELD_MB[host] // 2)
    if not HELD_MB[host]:
        return []
    return [
        Task(f"{framework}-on-{host}", framework, half) for framework in (HYPERVISOR, CONTAINER)
    ]


def names(*numbers: int) -> tuple[str, ...]:
    """Name hosts by their numbers."""
    return tuple(f"host-{number:02d}" for number in numbers)


@dataclass(frozen=True)
class Case:
    """One request in that state.

    :param name: what it shows.
    :param memory_mb: of the task.
    :param planned: host of its hint; empty for none.
    :param order: best first, of all hosts that pass.
    """

    name: str
    memory_mb: int
    order: tuple[str, ...]
    planned: str = ""


_MOST_FREE_FIRST = names(16, 17, 18, 19, 20, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 7, 8, 9, 10)
_FULLEST_OPEN_FIRST = names(10, 9, 8, 7, 6, 5, 15, 4, 14, 3, 13, 2, 12, 1, 11, 16, 17, 18, 19, 20)

CASES = (
    Case("a head goes to the roomiest", 2048, _MOST_FREE_FIRST),
    Case("a filler goes to the fullest open host", 256, _FULLEST_OPEN_FIRST),
    Case(
        "a large head leaves out hosts without room",
        6144,
        names(16, 17, 18, 19, 20, 1, 11, 2, 12, 3, 13, 4, 14),
    ),
    Case(
        "a planned filler",
        256,
        ("host-18", *(name for name in _FULLEST_OPEN_FIRST if name != "host-18")),
        planned="host-18",
    ),
    Case(
        "a planned head",
        2048,
        ("host-10", *(name for name in _MOST_FREE_FIRST if name != "host-10")),
        planned="host-10",
    ),
    Case("a plan for a host that is unknown", 256, _FULLEST_OPEN_FIRST, planned="host-99"),
    Case(
        "a plan for a host without room",
        6144,
        names(16, 17, 18, 19, 20, 1, 11, 2, 12, 3, 13, 4, 14),
        planned="host-10",
    ),
)

#: A queue's plan, against what the rule would do: the fullest hosts for heads, the roomiest for fillers.
PLAN = (
    ("host-10", 2048),
    ("host-20", 256),
    ("host-09", 2048),
    ("host-16", 256),
    ("host-02", 256),
    ("host-01", 256),
    ("host-08", 2048),
    ("host-20", 256),
    ("host-07", 3072),
    ("host-20", 2048),
    ("host-05", 256),
    ("host-19", 4096),
)

#: One after another without a plan: sizes, and where each goes. Heads take the roomiest in turn; a filler goes to the fullest
#: open host on which it fits, and to the next one once that is full.
UNPLANNED = (
    (4096, "host-16"),
    (4096, "host-17"),
    (4096, "host-18"),
    (768, "host-10"),
    (768, "host-10"),
    (768, "host-10"),
    (768, "host-10"),
    (4096, "host-19"),
    (768, "host-09"),
    (4096, "host-20"),
    (4096, "host-01"),
    (768, "host-09"),
)
