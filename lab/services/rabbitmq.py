# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ, the message broker of all services."""

from __future__ import annotations

from lab.layout import CONTROL_IP, Lab
from lab.processes import ProcessTable
from lab.services.common import answers_tcp


def start(lab: Lab) -> None:
    """Start Erlang's port mapper and the broker."""
    data = lab.folder("data", "rabbitmq")
    config = data / "rabbitmq.conf"
    config.write_text(
        f"listeners.tcp.1 = {CONTROL_IP}:5672\n"
        f"default_user = lab\n"
        f"default_pass = {lab.password}\n"
        "loopback_users = none\n"
        "vm_memory_high_watermark.absolute = 512MB\n"
        "disk_free_limit.absolute = 50MB\n"
    )
    config.chmod(0o600)
    table = ProcessTable(lab)
    erlang = {
        "HOME": str(data),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/rabbitmq/bin",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    table.start(
        "epmd",
        ["epmd"],
        ready=answers_tcp(4369, "127.0.0.1"),
        environment=erlang,
    )
    table.start(
        "rabbitmq",
        ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
        ready=answers_tcp(5672),
        timeout_s=90,
        environment={
            **erlang,
            "RABBITMQ_NODENAME": "lab@localhost",
            "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(data),
            "RABBITMQ_LOGS": "-",
            # No busy waiting on a machine that everything shares.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
            "RABBITMQ_PID_FILE": str(data / "rabbitmq.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        },
    )
