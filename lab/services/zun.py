# SPDX-License-Identifier: Apache-2.0
"""Zun: the API with its scheduler; and the configuration of zun-compute and kuryr on the hosts."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import ini
from lab.layout import CONTROL_IP, Host, Lab
from lab.services.common import (
    DURABLE_QUEUES,
    once,
    run,
    service_account,
    share_folder,
    start_wsgi,
    token_check,
)
from lab.services.nova import RESERVED_MEMORY_MB

#: Where kuryr takes requests of the dockerd of its host.
KURYR_URL = "http://127.0.0.1:23750"


def declared_path(lab: Lab, host: Host) -> Path:
    """Give the folder in which Zun's driver tells the agent of a host what containers declared."""
    return lab.folder("hosts", host.name, "zun", "declared")


def _common(lab: Lab) -> dict[str, dict[str, object]]:
    return {
        "DEFAULT": {
            "transport_url": lab.transport_url,
            "host": "control",
            "my_ip": CONTROL_IP,
            "state_path": lab.folder("data", "zun"),
            "image_driver_list": "docker",
            "default_image_driver": "docker",
            "container_driver": _driver(lab),
            "capsule_driver": _driver(lab),
        },
        "api": {
            "host_ip": CONTROL_IP,
            "port": 9517,
            "workers": 1,
            "api_paste_config": lab.config("zun", "api-paste.ini"),
        },
        "database": {"connection": lab.database_url("zun")},
        "keystone_authtoken": dict(token_check(lab, "zun")),
        "keystone_auth": dict(service_account(lab, "zun")),
        "oslo_policy": {"policy_file": lab.config("zun", "policy.yaml")},
        "scheduler": _scheduling(lab),
        "network": {"driver": "kuryr", "driver_name": "kuryr"},
        "compute": {
            "host_shared_with_nova": True,
            "reserved_host_memory_mb": RESERVED_MEMORY_MB,
        },
        "docker": {
            "api_url": "unix:///run/docker/docker.sock",
            "docker_remote_api_host": "127.0.0.1",
        },
        "oslo_concurrency": {"lock_path": lab.folder("data", "lock")},
        "oslo_messaging_rabbit": DURABLE_QUEUES,
        "websocket_proxy": {"base_url": f"ws://{CONTROL_IP}:6784/"},
        "hybrid_sched": {"refresh_period_s": 5},
    }


def _driver(lab: Lab) -> str:
    return "docker" if lab.stock else "hybrid_docker"


def _scheduling(lab: Lab) -> dict[str, object]:
    stock = "zun.scheduler.filters.all_filters"
    if lab.stock:
        return {"available_filters": stock, "enabled_filters": "ComputeFilter"}
    return {
        "available_filters": [stock, "hybrid_sched.filters.zun.all_filters"],
        "enabled_filters": "ComputeFilter,HybridShareFilter,CrossFillOrderFilter",
    }


def configure(lab: Lab) -> None:
    """Write the configuration of the API."""
    shutil.copy(share_folder("zun", "api-paste.ini"), lab.config("zun", "api-paste.ini"))
    ini.write(lab.config("zun", "zun.conf"), _common(lab))
    # The lab has no registry from which a member's container could be pulled.
    lab.config("zun", "policy.yaml").write_text(
        '"container:create:image_pull_policy": "is_admin:True or project_id:%(project_id)s"\n'
    )


def configure_compute(lab: Lab, host: Host) -> None:
    """Write the configuration of zun-compute and of kuryr on one host."""
    sections = _common(lab)
    sections["DEFAULT"] |= {
        "host": host.name,
        "my_ip": host.ip,
        "state_path": lab.folder("hosts", host.name, "zun"),
    }
    sections["hybrid_sched"] = {
        **sections["hybrid_sched"],
        "declared_path": declared_path(lab, host),
    }
    sections["docker"]["docker_data_root"] = lab.folder("hosts", host.name, "docker")
    sections["oslo_concurrency"] = {"lock_path": lab.folder("hosts", host.name, "lock")}
    ini.write(lab.config(host.name, "zun", "zun.conf"), sections)
    ini.write(
        lab.config(host.name, "kuryr.conf"),
        {
            "DEFAULT": {
                "bindir": lab.bin.parent / "libexec" / "kuryr",
                "kuryr_uri": KURYR_URL,
                "capability_scope": "local",
                "process_external_connectivity": False,
            },
            "neutron": {**service_account(lab, "kuryr"), "enable_dhcp": False},
            "binding": {"default_driver": "kuryr.lib.binding.drivers.veth"},
        },
    )


def prepare(lab: Lab) -> None:
    """Make its tables."""
    command = [
        *(lab.bin / "zun-db-manage", "--config-file", lab.config("zun", "zun.conf")),
        "upgrade",
    ]
    once(lab, "zun-sync", lambda: run(lab, "zun-sync", command))


def start_api(lab: Lab) -> None:
    """Start the API."""
    start_wsgi(
        lab,
        "zun-api",
        9517,
        "zun.wsgi.api:application",
        arguments=["--pyargv", " ".join(config_arguments(lab))],
    )


def config_arguments(lab: Lab, *host: str) -> list[str]:
    """Name zun.conf of the controller or of a host, and after it the folder zun.conf.d, as oslo.config does by itself."""
    file, folder = (
        lab.config(*host, "zun", "zun.conf"),
        lab.folder("etc", *host, "zun", "zun.conf.d"),
    )
    return [f"--config-file={file}", f"--config-dir={folder}"]
