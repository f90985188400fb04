# SPDX-License-Identifier: Apache-2.0
"""Neutron: the API, and DHCP for the guests."""

from __future__ import annotations

from pathlib import Path

from lab import ini
from lab.layout import CHECKOUT, DATA_GATEWAY_IP, DHCP_FOLDER, Lab
from lab.processes import ProcessTable
from lab.services.common import once, run, share_folder, start_wsgi, token_check


def configure(lab: Lab) -> None:
    """Write its configuration, and the entry point of the lab's mechanism driver."""
    ini.write(
        lab.config("neutron", "neutron.conf"),
        {
            "DEFAULT": {
                "transport_url": lab.transport_url,
                "core_plugin": "ml2",
                "service_plugins": "port_forwarding,router",
                "auth_strategy": "keystone",
                "api_paste_config": share_folder("neutron", "api-paste.ini"),
                "state_path": lab.folder("data", "neutron"),
                "dhcp_agent_notification": False,
                "notify_nova_on_port_status_changes": False,
                "notify_nova_on_port_data_changes": False,
            },
            "database": {"connection": lab.database_url("neutron")},
            "oslo_concurrency": {"lock_path": lab.folder("data", "lock")},
            "keystone_authtoken": token_check(lab, "neutron"),
        },
    )
    ini.write(
        lab.config("neutron", "ml2_conf.ini"),
        {
            "ml2": {
                "type_drivers": "flat",
                "tenant_network_types": "",
                "mechanism_drivers": "hybrid_lab_bridge",
                "extension_drivers": "",
            },
            "ml2_type_flat": {"flat_networks": "lab"},
            "securitygroup": {"enable_security_group": False},
        },
    )
    # Neutron finds drivers by entry points, which only an installed package has; this is the lab's.
    package = lab.folder("python", "hybrid_lab-1.dist-info")
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: hybrid-lab\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[neutron.ml2.mechanism_drivers]\nhybrid_lab_bridge = lab.neutron_driver:BridgeDriver\n"
    )


def prepare(lab: Lab) -> None:
    """Make its tables."""
    folder = lab.config("neutron", "x").parent
    command = [
        *(lab.bin / "neutron-db-manage", "--config-file", folder / "neutron.conf"),
        *("--config-file", folder / "ml2_conf.ini", "upgrade", "heads"),
    ]
    once(lab, "neutron-sync", lambda: run(lab, "neutron-sync", command))


def start(lab: Lab) -> None:
    """Start it."""
    start_wsgi(
        lab,
        "neutron",
        9696,
        "neutron.wsgi.api:application",
        environment={
            "OS_NEUTRON_CONFIG_DIR": str(lab.config("neutron", "x").parent),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
            "PYTHONPATH": f"{CHECKOUT}:{lab.folder('python')}",
            DHCP_FOLDER: str(_dhcp_folder(lab)),
        },
    )


def start_dhcp(lab: Lab) -> None:
    """Start dnsmasq, which gives each guest the address that Neutron has for its port."""
    folder = _dhcp_folder(lab)
    pid_file = folder / "dnsmasq.pid"
    table = ProcessTable(lab)
    if table.get("dnsmasq") is None:
        pid_file.unlink(missing_ok=True)
        (folder / "hosts").touch()
    table.start(
        "dnsmasq",
        [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root"),
            *("--no-resolv", "--no-hosts", "--port=0", "--interface=data", "--bind-interfaces"),
            *(f"--dhcp-range={DATA_GATEWAY_IP},static", f"--pid-file={pid_file}"),
            *(f"--dhcp-hostsfile={folder / 'hosts'}", f"--dhcp-leasefile={folder / 'leases'}"),
            *("--log-dhcp", "--log-facility=-"),
        ],
        ready=pid_file.exists,
    )


def _dhcp_folder(lab: Lab) -> Path:
    return lab.folder("data", "dnsmasq")
