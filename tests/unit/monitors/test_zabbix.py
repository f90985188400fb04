# SPDX-License-Identifier: Apache-2.0
"""The source against an emulator of a Zabbix agent, byte for byte on the wire."""

from __future__ import annotations

import logging
import socketserver
import struct
import threading
from collections.abc import Iterator

import pytest
from source_options import options

from hybrid_sched.interfaces.monitor import SourceError
from hybrid_sched.monitors.zabbix import ZabbixSource

_NOT_SUPPORTED = "ZBX_NOTSUPPORTED\0"
_CPU = 'vfs.file.regexp[/proc/stat,"^cpu .*"]'
_ITEMS = {
    "system.cpu.num": "8",
    "vm.memory.size[total]": str(64 * 2**30),
    "vm.memory.size[available]": str(48 * 2**30),
    _CPU: "cpu  1000 200 300 90000 5000 25 75 4000 800 100",
    "vfs.dev.discovery": '[{"{#DEVNAME}":"sda","{#DEVTYPE}":"disk"},{"{#DEVNAME}":"dm-0","{#DEVTYPE}":"disk"},'
    '{"{#DEVNAME}":"sdb","{#DEVTYPE}":"disk"}]',
    "vfs.dev.read[sda,sectors]": "10",
    "vfs.dev.read[sdb,sectors]": "1",
    "vfs.dev.write[sda,sectors]": "20",
    "vfs.dev.write[sdb,sectors]": "2",
    "net.if.discovery": '{"data":[{"{#IFNAME}":"lo"},{"{#IFNAME}":"eth0"},{"{#IFNAME}":"br0"},{"{#IFNAME}":"eth1"}]}',
    "net.if.in[eth0,bytes]": "1000",
    "net.if.in[eth1,bytes]": "1",
    "net.if.out[eth0,bytes]": "2000",
    "net.if.out[eth1,bytes]": "2",
    "system.cpu.util[,idle,avg1]": "70.5",
    "system.cpu.util[,iowait,avg1]": "4",
    "system.cpu.util[,steal,avg1]": "0.5",
}
_COUNTERS = {
    "cpu_s": 16.0,
    "disk_read_bytes": 11 * 512,
    "disk_write_bytes": 22 * 512,
    "net_in_bytes": 1001,
    "net_out_bytes": 2002,
}


class Agent:
    def __init__(self) -> None:
        self.items = dict(_ITEMS)
        #: Sent instead of an answer.
        self.raw: bytes | None = None
        agent = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = self.rfile.read(13)
                _, flags, length, _ = struct.unpack("<4sBII", head)
                assert head[:4] == b"ZBXD"
                assert flags == 1
                key = self.rfile.read(length).decode()
                if agent.raw is not None:
                    self.wfile.write(agent.raw)
                    return
                body = agent.items.get(key, f"{_NOT_SUPPORTED}Unsupported item key.").encode()
                self.wfile.write(struct.pack("<4sBII", b"ZBXD", 1, len(body), 0) + body)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setattr(
        "hybrid_sched.monitors.zabbix.physical_disks", lambda: {"sda": "8:0", "sdb": "8:16"}
    )
    monkeypatch.setattr("hybrid_sched.monitors.zabbix.uplinks", lambda: ("eth0", "eth1"))
    made = Agent()
    yield made
    made.close()


def source(agent: Agent, timeout_s: float = 5) -> ZabbixSource:
    return ZabbixSource(options(zabbix_port=agent.port, zabbix_timeout_s=timeout_s))


def test_items_become_totals_gauges_and_counters(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    seen = source(agent).collect()
    assert (seen.cpus, seen.memory_mb) == (8, 64 * 1024)
    assert seen.gauges == {"memory_used_mb": 16 * 1024}
    assert seen.counters == _COUNTERS
    assert seen.tasks == ()
    assert seen.hardware is None
    assert caplog.messages == []


def test_where_files_may_not_be_read_cpu_is_the_mean_of_the_agents_last_minute(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hybrid_sched")
    del agent.items[_CPU]
    seen = source(agent).collect()
    assert seen.gauges["cpu_cores"] == 8 * 0.25
    assert "cpu_s" not in seen.counters
    assert caplog.messages == [
        f"The Zabbix agent does not tell {_CPU}: Unsupported item key. Its means over one minute are taken instead."
    ]


@pytest.mark.parametrize(
    ("key", "answer", "left_out", "reason"),
    [
        (
            "vfs.dev.read[sdb,sectors]",
            f"{_NOT_SUPPORTED}Cannot obtain disk information.",
            {"disk_read_bytes"},
            "Cannot obtain disk information.",
        ),
        ("net.if.out[eth0,bytes]", "many", {"net_out_bytes"}, "'many' is no number."),
        (
            "net.if.discovery",
            '[{"{#IFNAME}":"lo"}]',
            {"net_in_bytes", "net_out_bytes"},
            "it names none of eth0, eth1.",
        ),
        (
            "vfs.dev.discovery",
            _NOT_SUPPORTED,
            {"disk_read_bytes", "disk_write_bytes"},
            "",
        ),
        ("vm.memory.size[available]", _NOT_SUPPORTED, {"memory_used_mb"}, ""),
    ],
)
def test_what_the_agent_does_not_tell_is_left_out_whole_and_named_once(
    key: str,
    answer: str,
    left_out: set[str],
    reason: str,
    agent: Agent,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "hybrid_sched")
    agent.items[key] = answer
    made = source(agent)
    for _ in range(2):
        seen = made.collect()
        assert {"memory_used_mb", *_COUNTERS} - {*seen.gauges, *seen.counters} == left_out
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"The Zabbix agent does not tell {key}: {reason}")


def test_an_agent_that_is_down_is_an_error_with_its_remedy_and_asked_again(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    made = source(agent)
    agent.close()
    with pytest.raises(SourceError) as failed:
        made.collect()
    assert str(failed.value).startswith(
        f"The Zabbix agent at 127.0.0.1 port {agent.port} does not answer: [Errno 111]"
    )
    assert "See that it runs" in str(failed.value)
    assert caplog.messages == [], "the library has logged it as well"
    again = Agent()
    try:
        made._conf.set_override("zabbix_port", again.port, group="agent")
        assert made.collect().counters == _COUNTERS
    finally:
        again.close()


@pytest.mark.parametrize(
    "raw",
    [
        # Of an agent whose Server= does not name this host.
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack("<4sBII", b"ZBXD", 1, 2, 0) + b"\xff\xff",
        struct.pack("<4sBII", b"ZBXD", 3, 2, 9) + b"xx",
    ],
)
def test_an_answer_that_is_none_of_zabbix_is_an_error(raw: bytes, agent: Agent) -> None:
    agent.raw = raw
    with pytest.raises(SourceError, match=r"does not answer: .+ Server= allows this host"):
        source(agent).collect()


def test_a_list_of_devices_that_is_broken_is_an_error(agent: Agent) -> None:
    agent.items["net.if.discovery"] = "[{"
    with pytest.raises(SourceError, match="does not answer"):
        source(agent).collect()
