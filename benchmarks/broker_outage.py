# SPDX-License-Identifier: Apache-2.0
"""What a stop of the message broker costs servers that are being created, with our plug-ins and with stock Nova.

``python -m lab exec -- .venv/bin/python -m benchmarks.broker_outage`` in a lab that is up and empty. It prints the times of
each server, and by how much the slowest with the plug-ins is over the slowest with stock Nova.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from lab import cloud as lab_cloud
from lab.cloud import Cloud
from lab.layout import Lab, saved_lab
from lab.processes import ProcessTable
from lab.services import nova, rabbitmq

SERVERS = 20
FLAVOR = "lab.tiny"
#: Servers are asked for one after another at this pace; the broker is stopped once this many were.
PAUSE_S = 1.0
STOPPED_AFTER = 8
OUTAGE_S = 10.0
_PREFIX = "outage-"


@dataclass(frozen=True)
class Creation:
    """One server.

    :param name: its name.
    :param uuid: its identifier.
    :param status: the last status seen.
    :param answered_s: seconds until the API answered.
    :param active_s: seconds until it was active, or until it was given up.
    """

    name: str
    uuid: str
    status: str
    answered_s: float
    active_s: float


def create_during_outage(lab: Lab, cloud: Cloud, timeout_s: float = 300) -> list[Creation]:
    """Create servers and stop the broker in the middle.

    :param timeout_s: after which a server that is not active is given up.
    """
    begun: dict[str, float] = {}
    answered: dict[str, tuple[str, float]] = {}
    finished: dict[str, tuple[str, float]] = {}
    _sign_in(cloud)

    def create(name: str) -> None:
        begun[name] = time.monotonic()
        uuid = cloud.create_server(name, FLAVOR)
        answered[name] = (uuid, time.monotonic() - begun[name])

    def watch() -> None:
        deadline = time.monotonic() + timeout_s
        while len(finished) < SERVERS and time.monotonic() < deadline:
            for server in cloud.sdk.compute.servers():
                if server.status in {"ACTIVE", "ERROR"} and server.name in begun:
                    taken = time.monotonic() - begun[server.name]
                    finished.setdefault(server.name, (server.status, taken))
            time.sleep(2)

    names = [f"{_PREFIX}{number:02}" for number in range(SERVERS)]
    outage = threading.Thread(target=_stop_broker_for_a_while, args=(lab,))
    with ThreadPoolExecutor(SERVERS) as pool:
        for number, name in enumerate(names):
            pool.submit(create, name)
            if number + 1 == STOPPED_AFTER:
                outage.start()
            time.sleep(PAUSE_S)
        watch()
    outage.join()
    creations = []
    for name in names:
        uuid, answered_s = answered.get(name, ("", timeout_s))
        status, active_s = finished.get(name, ("LOST", timeout_s))
        creations.append(Creation(name, uuid, status, answered_s, active_s))
    return creations


def remove_all(cloud: Cloud) -> None:
    """Remove the servers."""

    def mine() -> list[str]:
        return [s.id for s in cloud.sdk.compute.servers() if s.name.startswith(_PREFIX)]

    for uuid in mine():
        cloud.sdk.compute.delete_server(uuid)
    lab_cloud.wait_for(mine, lambda left: not left, 120)


@contextmanager
def stock_scheduler(lab: Lab) -> Iterator[None]:
    """Run nova-scheduler without our plug-ins for a while."""
    _restart_scheduler(dataclasses.replace(lab, stock=True))
    try:
        yield
    finally:
        _restart_scheduler(lab)


def _restart_scheduler(lab: Lab) -> None:
    nova.configure(lab)
    table = ProcessTable(lab)
    scheduler = table.get("nova-scheduler")
    if scheduler is not None:
        table.stop([scheduler], timeout_s=10)
    nova.start_scheduler(lab)


def _stop_broker_for_a_while(lab: Lab) -> None:
    table = ProcessTable(lab)
    broker = table.get("rabbitmq")
    if broker is not None:
        # At once, as when it crashes.
        table.stop([broker], timeout_s=0)
    time.sleep(OUTAGE_S)
    rabbitmq.start(lab)


def _sign_in(cloud: Cloud) -> None:
    """Look everything up that is looked up once, so that the first server takes no longer than the others."""
    list(cloud.sdk.compute.servers())


def main() -> int:
    """Compare both and print the figures."""
    lab = saved_lab()
    if lab is None:
        print("There is no lab: start it with 'make lab-up'.", file=sys.stderr)
        return 1
    cloud = Cloud(lab)
    results = {}
    remove_all(cloud)
    with stock_scheduler(lab):
        print("Stock Nova ...", file=sys.stderr)
        results["stock"] = create_during_outage(lab, cloud)
        remove_all(cloud)
    print("With the plug-ins ...", file=sys.stderr)
    results["plug-ins"] = create_during_outage(lab, cloud)
    remove_all(cloud)
    slowest = {name: max(each.active_s for each in rows) for name, rows in results.items()}
    lost = {name: sum(each.status != "ACTIVE" for each in rows) for name, rows in results.items()}
    summary = {
        "slowest_s": slowest,
        "difference_s": slowest["plug-ins"] - slowest["stock"],
        "not_active": lost,
        "servers": {name: [vars(each) for each in rows] for name, rows in results.items()},
    }
    print(json.dumps(summary, indent=2, default=lambda number: round(number, 2)))
    return 1 if lost["plug-ins"] else 0


if __name__ == "__main__":
    sys.exit(main())
