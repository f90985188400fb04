# SPDX-License-Identifier: Apache-2.0
"""What noisy containers cost a web-serving guest with a CPU of its own on the same host, with our isolation and stock Zun's.

``python -m lab exec -- .venv/bin/python -m benchmarks.noisy_neighbour`` in a lab that is up and empty (``make bench-noisy``
starts one). Response times are those of requests at a fixed pace, each from the moment at which it was due, so that a guest
that stalls is charged for all requests that it kept waiting (Tene, How not to measure latency). Figures go to
``.bench/noisy.json``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.neighbourhood import TIMEOUT_S, Container, Neighbourhood, Website
from lab.layout import Host, Lab, saved_lab

_PATH = Path(".bench") / "noisy.json"
_REQUESTS_A_S = 20
_REQUESTS = 1200
_SINK_PORT = 5001
#: Takes all that is sent. Its own input stays open, since nc ends with it.
_SINK = "[ -p /open ] || mkfifo /open; nc -l -p {port} <>/open >/dev/null"

#: What each hog does for ever, and what it declares besides a quarter of a core and 64 MiB.
HOGS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu-1": (":", {}),
    "cpu-2": (":", {}),
    "disk": (
        "dd if=/dev/zero of=/hog bs=1M count=64 oflag=direct 2>/dev/null",
        {"hybrid:disk_write_bps": "1MB/s"},
    ),
    "nic": ("dd if=/dev/zero bs=64k | nc {sink} {port}", {"hybrid:net_out_bps": "1MB/s"}),
    "memory": ("dd if=/dev/zero of=/dev/null bs=256M count=8 2>/dev/null", {}),
}


def response_times_s(website: Website) -> list[float]:
    """Ask at a fixed pace; one that does not come in time counts as the time that it was waited for."""
    start_s = time.monotonic() + 0.5

    def ask(number: int) -> float:
        due_s = start_s + number / _REQUESTS_A_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        try:
            website.get()
        except OSError:
            return TIMEOUT_S
        return time.monotonic() - due_s

    with ThreadPoolExecutor(_REQUESTS_A_S) as pool:
        return list(pool.map(ask, range(_REQUESTS)))


def summary(times_s: Sequence[float]) -> dict[str, float]:
    """Give percentiles, in milliseconds."""
    ordered = sorted(times_s)

    def percentile(part: float) -> float:
        return round(1e3 * ordered[math.ceil(part * len(ordered)) - 1], 2)

    return {"p50_ms": percentile(0.5), "p99_ms": percentile(0.99), "worst_ms": percentile(1)}


@contextmanager
def hogs(place: Neighbourhood) -> Iterator[None]:
    """Run them for a while; the other host takes what they send."""

    def start(name: str, host: Host, work: str, labels: dict[str, str]) -> Container:
        command = ["sh", "-c", f"while :; do {work}; done"]
        return start_container(name, host, 0.25, 64, command, labels=labels)

    with place.containers() as start_container:
        sink = start("sink", place.other, _SINK.format(port=_SINK_PORT), {})
        started = [
            start(name, place.host, work.format(sink=sink.address, port=_SINK_PORT), labels)
            for name, (work, labels) in HOGS.items()
        ]
        place.wait_for_limits(*(each.uuid for each in started))
        yield


def measure(lab: Lab) -> dict[str, Any]:
    """Measure with the hogs under stock limits, alone, and with them under ours."""
    place = Neighbourhood(lab, "noisy-")
    figures: dict[str, Any] = {}

    def note(name: str, website: Website) -> None:
        with place.services_apart():
            figures[name] = summary(response_times_s(website))
        print(f"  {name}: {figures[name]}", file=sys.stderr)

    with ExitStack() as whole:
        with ExitStack() as off:
            off.enter_context(place.idle_agent())
            with place.stock_driver():
                # Where a guest has a CPU of its own it makes no container: it writes an inventory without such CPUs, which
                # Placement refuses while one is used.
                off.enter_context(hogs(place))
            whole.enter_context(place.dedicated_cpus())
            website = whole.enter_context(place.website())
            note("stock", website)
        note("alone", website)
        with hogs(place):
            note("isolated", website)
        note("alone_again", website)
    alone = figures["alone"]["p99_ms"]
    for name in ("stock", "isolated"):
        figures[f"{name}_over_alone"] = round(figures[name]["p99_ms"] / alone, 3)
    return figures


def main() -> int:
    """Measure, print and keep the figures."""
    lab = saved_lab()
    if lab is None:
        print("There is no lab: start it with 'make lab-up'.", file=sys.stderr)
        return 1
    figures = measure(lab)
    _PATH.parent.mkdir(exist_ok=True)
    _PATH.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
