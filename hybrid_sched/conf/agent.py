# SPDX-License-Identifier: Apache-2.0
"""Options of hybrid-sched-agent."""

import socket

from oslo_config import cfg

GROUP = cfg.OptGroup("agent", title="Agent: what it reports of its host")

OPTIONS = [
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this host as Nova and Zun know it: [DEFAULT] host there. The default is theirs.",
    ),
    cfg.FloatOpt(
        "period_s",
        default=10.0,
        min=0.5,
        help="Seconds between two reports. Shorter follows the hosts more closely and costs more: libvirt and Docker are asked "
        "each time.",
    ),
    cfg.ListOpt(
        "sources",
        default=["host", "libvirt", "docker"],
        help="Monitor sources to ask, names of entry points of hybrid_sched.monitor.source. Leave out what a host lacks.",
    ),
    cfg.StrOpt(
        "libvirt_uri",
        default="qemu:///system",
        help="libvirt connection of the guests. Reading is enough for it.",
    ),
    cfg.StrOpt(
        "docker_url",
        default="unix:///var/run/docker.sock",
        help="URL of the Docker API that Zun uses on this host: [docker] api_url of zun.conf there.",
    ),
    cfg.StrOpt(
        "zabbix_address",
        default="127.0.0.1",
        help="Address of this host's own Zabbix agent, for the source zabbix. It must take passive checks from here: Server= "
        "of its configuration.",
    ),
    cfg.PortOpt(
        "zabbix_port",
        default=10050,
        help="Port of the Zabbix agent: ListenPort= of its configuration, whose default this is.",
    ),
    cfg.FloatOpt(
        "zabbix_timeout_s",
        default=3.0,
        min=0.1,
        help="Seconds to wait for the Zabbix agent's answer to one item; the default is Zabbix's own. When one does not come, "
        "the source fails for this period.",
    ),
    cfg.FloatOpt(
        "cpu_allocation_ratio",
        default=4.0,
        min=0.1,
        help="vCPUs that may be declared for each CPU of the host. Give the ratio of the host's inventory in Placement; the "
        "default is Nova's initial one.",
    ),
    cfg.FloatOpt(
        "ram_allocation_ratio",
        default=1.0,
        min=0.1,
        help="Memory that may be declared, as a multiple of what the host has. Give the ratio of the host's inventory in "
        "Placement; the default is Nova's initial one.",
    ),
    cfg.IntOpt(
        "reserved_cpus",
        default=0,
        min=0,
        help="CPUs kept for the host itself: [DEFAULT] reserved_host_cpus of Nova, whose default this is.",
    ),
    cfg.IntOpt(
        "reserved_memory_mb",
        default=512,
        min=0,
        help="Memory in MiB kept for the host itself: [DEFAULT] reserved_host_memory_mb of Nova, whose default this is.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
