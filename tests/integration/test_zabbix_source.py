# SPDX-License-Identifier: Apache-2.0
"""The zabbix source on a real agent agrees with the source ``host`` while a machine works steadily.

All runs in a network namespace whose only link to outside is one end of a pair, so that both count just that.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from namespaces import Namespace
from namespaces import why_not as why_no_namespaces
from waiting import wait_until
from zabbix_agent import ZabbixAgent
from zabbix_agent import why_not as why_no_agent

from hybrid_sched.core.measures import RATE_OF_COUNTER
from hybrid_sched.monitors.devices import physical_disks

pytestmark = pytest.mark.timeout(90)

_HERE = Path(__file__).parent
_WINDOW_S = 40
_WRITTEN_BPS = 4_000_000
_SENT_BPS = 2_000_000
_PORT, _PORT_OF_STRICT = 10050, 10051


@dataclass(frozen=True)
class Measured:
    """Rates by name over one window, and gauges at its end."""

    host: dict[str, float]
    zabbix: dict[str, float]
    #: Of an agent that may not read files.
    strict: dict[str, float]
    #: What the load itself can tell.
    load: dict[str, float]
    totals: list[tuple[int, int]]


class Probe:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def look(self) -> list[dict[str, Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        answer: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return answer


def rates(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    period_s = after["at_s"] - before["at_s"]
    grown = {
        RATE_OF_COUNTER[name]: (value - before["counters"][name]) / period_s
        for name, value in after["counters"].items()
    }
    return {**after["gauges"], **grown}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    for reason in (why_no_namespaces(), why_no_agent()):
        if reason is not None:
            pytest.skip(reason)
    directory = tmp_path_factory.mktemp("zabbix")
    with contextlib.ExitStack() as stack:
        host, outside = (stack.enter_context(Namespace(label)) for label in ("host", "out"))
        host.join("eth0", "192.0.2.1/24", outside.name, "link0")
        outside.up("link0", "192.0.2.2/24")

        def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [*host.prefix, sys.executable, *arguments], text=True, **options
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        load = str(_HERE / "load.py")
        burner = start(load, "burn")
        writer = start(load, "write", str(directory / "file"), str(_WRITTEN_BPS))
        start(load, "send", "192.0.2.255", str(_SENT_BPS))
        agents = [
            ZabbixAgent(directory, _PORT, host.prefix),
            ZabbixAgent(directory, _PORT_OF_STRICT, host.prefix, ["DenyKey=vfs.file.*[*]"]),
        ]
        for agent in agents:
            stack.enter_context(agent)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        ports = (str(_PORT), str(_PORT_OF_STRICT))
        probe = Probe(start(str(_HERE / "source_probe.py"), *ports, **pipes))
        # The agent's collector has its first mean, which begins about here.
        wait_until(lambda: "cpu_cores" in probe.look()[2].get("gauges", ()), "both agents answer")
        work = [psutil.Process(process.pid) for process in (burner, writer)]

        def own_counts() -> dict[str, float]:
            times = work[0].cpu_times()
            return {
                "cpu_cores": times.user + times.system,
                "disk_write_bps": work[1].io_counters().write_bytes,
                "net_out_bps": outside.received_bytes("link0"),
            }

        before, own_before, began_s = probe.look(), own_counts(), time.monotonic()
        time.sleep(_WINDOW_S)
        own_after, after, period_s = own_counts(), probe.look(), time.monotonic() - began_s
        yield Measured(
            *(rates(*looks) for looks in zip(before, after, strict=True)),
            load={name: (own_after[name] - own_before[name]) / period_s for name in own_after},
            totals=[(seen["cpus"], seen["memory_mb"]) for seen in after],
        )


def test_totals_are_the_same(measured: Measured) -> None:
    assert measured.totals == [measured.totals[0]] * 3
    assert measured.totals[0][0] == os.cpu_count()


@pytest.mark.parametrize("figure", ["cpu_cores", "memory_used_mb", "disk_write_bps", "net_out_bps"])
def test_figures_agree_within_5_percent(figure: str, measured: Measured) -> None:
    if figure.startswith("disk") and not physical_disks():
        pytest.skip("there is no disk of hardware here")
    assert measured.zabbix[figure] == pytest.approx(measured.host[figure], rel=0.05)
    assert measured.strict[figure] == pytest.approx(measured.host[figure], rel=0.05)


def test_what_flows_little_agrees_in_bytes(measured: Measured) -> None:
    for figure in ("disk_read_bps", "net_in_bps"):
        for seen in (measured.zabbix, measured.strict):
            assert seen[figure] == pytest.approx(measured.host[figure], rel=0.05, abs=2000)


def test_figures_are_no_less_than_the_load_that_was_made(measured: Measured) -> None:
    if measured.load["disk_write_bps"] and physical_disks():
        assert measured.load["disk_write_bps"] > _WRITTEN_BPS * 0.5
        assert measured.host["disk_write_bps"] >= measured.load["disk_write_bps"] * 0.95
    assert 0.5 < measured.load["cpu_cores"] <= measured.host["cpu_cores"] * 1.02
    # Nothing else leaves the namespace, and headers are counted at both ends.
    assert measured.load["net_out_bps"] > _SENT_BPS * 0.5
    assert measured.host["net_out_bps"] == pytest.approx(measured.load["net_out_bps"], rel=0.05)
