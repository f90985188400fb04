# SPDX-License-Identifier: Apache-2.0
"""The services of hybrid_sched: the engine, and the configuration of the agents on the hosts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import ini
from lab.layout import CONTROL_IP, Host, Lab
from lab.processes import ProcessTable, StepFailed
from lab.services.common import DURABLE_QUEUES, once, run, service_account, token_check
from lab.services.nova import CPU_ALLOCATION_RATIO, RESERVED_MEMORY_MB
from lab.services.zun import declared_path

#: Guests' whole share is kept free for them, so that the demo can show a refusal.
LENDING = "hypervisor:0,container:1"
METRICS_PORT = 9782


def engine_config(lab: Lab) -> Path:
    """Give the path of the engine's configuration."""
    return lab.config("hybrid-sched", "hybrid-sched.conf")


def configure(lab: Lab, watchdog: Mapping[str, object] | None = None, **quota: object) -> None:
    """Write the configuration of the engine and the API.

    :param watchdog: options of the group ``[watchdog]`` that differ from the lab's.
    :param quota: options of the group ``[quota]`` that differ from the lab's.
    """
    account = service_account(lab, "hybrid")
    ini.write(
        engine_config(lab),
        {
            "DEFAULT": {"transport_url": lab.transport_url},
            "oslo_messaging_rabbit": DURABLE_QUEUES,
            "database": {"connection": lab.database_url("hybrid_sched")},
            "coordination": {
                "backend_url": f"file://{lab.folder('data', 'coordination')}",
                "member_id": "engine",
            },
            "placement": account,
            "nova": account,
            "zun": account,
            "neutron": account,
            "trustee": account,
            "keystone_authtoken": token_check(lab, "hybrid"),
            "metrics": {"enabled": True, "address": CONTROL_IP, "port": METRICS_PORT},
            "queue": {"period_s": 1},
            # What was measured while the lab came up is forgotten soon; a production cloud remembers for hours.
            "watchdog": {
                "period_s": 5,
                "short_half_life_s": 10,
                "long_half_life_s": 30,
                "settle_s": 10,
                # The kernel tells one pressure for all hosts of the lab, and for what else the machine does.
                "stall_limits": "vcpu:1,memory_mb:1,disk_read_bps:1,disk_write_bps:1",
                **(watchdog or {}),
            },
            "migration": {"container_healthy_s": 3, "container_timeout_s": 90},
            "quota": {
                "period_s": 2,
                "lending": LENDING,
                "report_max_age_s": 15,
                "pending_ttl_s": 30,
                "squeeze_after_s": 10,
                "relieve_after_s": 10,
                **quota,
            },
        },
    )


def prepare(lab: Lab) -> None:
    """Make its tables."""
    command = [lab.bin / "hybrid-sched-manage", "--config-file", engine_config(lab), "db", "sync"]
    once(lab, "hybrid-sched-sync", lambda: run(lab, "hybrid-sched-sync", command))


def configure_agent(lab: Lab, host: Host, **options: object) -> None:
    """Write the configuration of the agent on one host.

    :param options: of the group ``[agent]`` that differ from the lab's.
    """
    ini.write(
        lab.config(host.name, "hybrid-sched.conf"),
        {
            "DEFAULT": {"transport_url": lab.transport_url},
            "oslo_messaging_rabbit": DURABLE_QUEUES,
            "agent": {
                "host": host.name,
                "period_s": 4,
                "state_path": lab.folder("data", host.name, "hybrid-sched"),
                "docker_url": "unix:///run/docker/docker.sock",
                "declared_path": declared_path(lab, host),
                "isolation_period_s": 15,
                "cpu_allocation_ratio": CPU_ALLOCATION_RATIO,
                "reserved_memory_mb": RESERVED_MEMORY_MB,
                **options,
            },
        },
    )


def start(lab: Lab) -> None:
    """Start the engine."""
    log = lab.log("hybrid-sched-engine")
    running = ProcessTable(lab).get("hybrid-sched-engine") is not None
    start_at = 0 if running or not log.exists() else log.stat().st_size

    def serving() -> bool:
        with log.open("rb") as lines:
            lines.seek(start_at)
            return b"Serving." in lines.read()

    ProcessTable(lab).start(
        "hybrid-sched-engine",
        [str(lab.bin / "hybrid-sched-engine"), "--config-file", str(engine_config(lab))],
        ready=serving,
    )


def manage(lab: Lab, *arguments: str) -> Any:
    """Run ``hybrid-sched-manage`` and give its answer as JSON tells it.

    :raises StepFailed: when it fails.
    """
    return json.loads(command(lab, *arguments, "-f", "json"))


def command(lab: Lab, *arguments: str) -> str:
    """Run ``hybrid-sched-manage`` and give what it says.

    :raises StepFailed: when it fails.
    """
    done = subprocess.run(
        [
            *(str(lab.bin / "hybrid-sched-manage"), "--config-file", str(engine_config(lab))),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailed(f"hybrid-sched-manage {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
