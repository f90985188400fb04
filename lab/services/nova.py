# SPDX-License-Identifier: Apache-2.0
"""Nova: API, conductor and scheduler; and the configuration of nova-compute on the hosts."""

from __future__ import annotations

import shutil

from lab import ini
from lab.layout import CONTROL_IP, Host, Lab
from lab.processes import ProcessTable
from lab.services.common import (
    DURABLE_QUEUES,
    once,
    run,
    service_account,
    share_folder,
    start_wsgi,
    token_check,
)

#: vCPUs for each CPU; the agents are told the same.
CPU_ALLOCATION_RATIO = 16.0
RESERVED_MEMORY_MB = 512

_STOCK_FILTERS = ("ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter")


def _common(lab: Lab) -> dict[str, dict[str, object]]:
    account = dict(service_account(lab, "nova"))
    return {
        "DEFAULT": {
            "transport_url": lab.transport_url,
            "my_ip": CONTROL_IP,
            "host": "control",
            "state_path": lab.folder("data", "nova"),
            "compute_driver": "libvirt.LibvirtDriver",
            "vif_plugging_is_fatal": False,
            "vif_plugging_timeout": 0,
            "force_config_drive": False,
            "osapi_compute_workers": 1,
            "osapi_compute_unique_server_name_scope": "global",
            # The hosts are small and quick to answer; a fault shows soon.
            "report_interval": 5,
            "service_down_time": 30,
        },
        "api": {"auth_strategy": "keystone", "response_validation": "ignore"},
        "wsgi": {"api_paste_config": share_folder("nova", "api-paste.ini")},
        "keystone_authtoken": dict(token_check(lab, "nova")),
        "service_user": {"send_service_user_token": True, **account},
        "placement": account,
        "neutron": {**account, "service_metadata_proxy": False},
        "glance": {"region_name": account["region_name"]},
        "cinder": account,
        "barbican": {},
        "key_manager": {"backend": "nova.keymgr.conf_key_mgr.ConfKeyManager"},
        "oslo_concurrency": {"lock_path": lab.folder("data", "lock")},
        "oslo_messaging_notifications": {"driver": "noop"},
        "oslo_messaging_rabbit": DURABLE_QUEUES,
        "quota": {"instances": -1, "cores": -1, "ram": -1},
        # The guests' kernel is an image of its own, which has no format that Nova could inspect.
        "workarounds": {"disable_deep_image_inspection": True},
        "vnc": {"enabled": False},
    }


def _scheduling(lab: Lab) -> dict[str, object]:
    stock = "nova.scheduler.filters.all_filters"
    if lab.stock:
        return {"available_filters": stock, "enabled_filters": ",".join(_STOCK_FILTERS)}
    return {
        "available_filters": [stock, "hybrid_sched.filters.nova.HybridShareFilter"],
        "enabled_filters": ",".join([*_STOCK_FILTERS, "HybridShareFilter"]),
        "weight_classes": "hybrid_sched.weighers.nova.CrossFillWeigher",
    }


def configure(lab: Lab) -> None:
    """Write the configuration of the control plane's part."""
    folder = lab.config("nova", "x").parent
    shutil.copy(share_folder("nova", "api-paste.ini"), folder)
    ini.write(
        folder / "nova.conf",
        {
            **_common(lab),
            "database": {"connection": lab.database_url("nova_cell1")},
            "api_database": {"connection": lab.database_url("nova_api")},
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1},
            "filter_scheduler": _scheduling(lab),
            "hybrid_sched": {"refresh_period_s": 5},
        },
    )


def configure_compute(lab: Lab, host: Host, **compute: object) -> None:
    """Write the configuration of nova-compute on one host, which has no access to the database.

    :param compute: options of the group ``[compute]`` that differ from the lab's.
    """
    folder = lab.config(host.name, "nova", "x").parent
    sections = _common(lab)
    sections["DEFAULT"] |= {
        "host": host.name,
        "my_ip": host.ip,
        "state_path": lab.folder("hosts", host.name, "nova"),
        # One path on all hosts, and behind it each host's own folder: else a live migration would open the source's disk.
        "instances_path": lab.folder("instances"),
        "initial_cpu_allocation_ratio": CPU_ALLOCATION_RATIO,
        "initial_ram_allocation_ratio": 1.0,
        "reserved_host_memory_mb": RESERVED_MEMORY_MB,
    }
    sections["libvirt"] = {
        "images_type": "raw",
        "virt_type": "qemu",
        "cpu_mode": "none",
        "use_virtio_for_bridges": True,
        "live_migration_inbound_addr": host.ip,
        "live_migration_permit_auto_converge": True,
    }
    sections["compute"] = {"resource_provider_association_refresh": 60, **compute}
    sections["oslo_concurrency"] = {"lock_path": lab.folder("hosts", host.name, "lock")}
    helper = f"{lab.bin}/privsep-helper --config-dir {folder}"
    for group in ("nova_sys_admin", "privsep", "privsep_osbrick", "vif_plug_ovs_privileged"):
        sections[group] = {"helper_command": helper}
    ini.write(folder / "nova-cpu.conf", sections)


def prepare(lab: Lab) -> None:
    """Make the tables and the cells."""
    manage = [lab.bin / "nova-manage", "--config-dir", lab.config("nova", "x").parent]

    def work() -> None:
        run(lab, "nova-sync", [*manage, "api_db", "sync"])
        cell0 = lab.database_url("nova_cell0")
        run(
            lab,
            "nova-sync",
            [*manage, "cell_v2", "map_cell0", "--database_connection", cell0],
        )
        run(lab, "nova-sync", [*manage, "db", "sync"])
        run(lab, "nova-sync", [*manage, "cell_v2", "create_cell", "--name", "cell1"])

    once(lab, "nova-sync", work)


def map_hosts(lab: Lab) -> None:
    """Put the hosts into the cell; until then Nova refuses guests that are placed on them."""
    manage = [lab.bin / "nova-manage", "--config-dir", lab.config("nova", "x").parent]
    once(lab, "nova-hosts", lambda: run(lab, "nova-sync", [*manage, "cell_v2", "discover_hosts"]))


def start_api(lab: Lab) -> None:
    """Start the API."""
    start_wsgi(
        lab,
        "nova-api",
        8774,
        "nova.wsgi.osapi_compute:application",
        environment={"OS_NOVA_CONFIG_DIR": str(lab.config("nova", "x").parent)},
    )


def start_conductor(lab: Lab) -> None:
    """Start the conductor."""
    _start_worker(lab, "nova-conductor", "Starting conductor node")


def start_scheduler(lab: Lab) -> None:
    """Start the scheduler."""
    _start_worker(lab, "nova-scheduler", "Starting scheduler node")


def _start_worker(lab: Lab, name: str, said_when_up: str) -> None:
    log = lab.log(name)
    start = log.stat().st_size if log.exists() else 0
    running = ProcessTable(lab).get(name) is not None

    def said() -> bool:
        with log.open("rb") as lines:
            lines.seek(0 if running else start)
            return said_when_up.encode() in lines.read()

    # As oslo.config does without being told: first nova.conf, then what is in nova.conf.d.
    folders = lab.folder("etc", "nova"), lab.folder("etc", "nova", "nova.conf.d")
    command = [str(lab.bin / name), *(f"--config-dir={folder}" for folder in folders)]
    ProcessTable(lab).start(name, command, ready=said, timeout_s=90)
