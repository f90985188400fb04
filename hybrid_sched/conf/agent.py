# SPDX-License-Identifier: Apache-2.0
"""Options of hybrid-sched-agent."""

import socket

from oslo_config import cfg

#: Values of ``isolation``.
OFF, OBSERVE, ENFORCE = "off", "observe", "enforce"

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
    cfg.ListOpt(
        "isolators",
        default=["libvirt", "docker", "cgroup", "traffic"],
        help="Isolators that hold tasks to their limits, and reduce their CPU weights when the engine asks for it, names of "
        "entry points of hybrid_sched.isolator. Where several can hold the same limit of the same tasks, the first one does. "
        "Leave out what a host lacks; leave it empty to have no task touched. Run hybrid-sched-manage release-host before you "
        "take one out: what it has set stays otherwise.",
    ),
    cfg.StrOpt(
        "isolation",
        default=ENFORCE,
        choices=[
            (
                OFF,
                "limits are neither looked at nor set; those that were set stay until hybrid-sched-manage release-host",
            ),
            (OBSERVE, "what would be set is logged and counted, and nothing is touched"),
            (
                ENFORCE,
                "limits are set, read back, and set again when something else has changed them",
            ),
        ],
        mutable=True,
        help="What is done about the limits that follow from what tasks declared. They are enforced by default: whoever "
        "declares a limit expects that it holds, for his task as for his neighbours', and what was there before can be put "
        "back at any time. Begin with observe on hosts that are in use. The squeeze, which the engine orders, does not depend "
        "on it.",
    ),
    cfg.FloatOpt(
        "isolation_period_s",
        default=60.0,
        min=1.0,
        mutable=True,
        help="Seconds after which all limits are read back at the latest. Starts of tasks and what libvirt and Docker tell of "
        "changes lead to that within about a second; the period bounds how long a change lasts of which nobody tells.",
    ),
    cfg.ListOpt(
        "watchers",
        default=["libvirt", "docker"],
        help="Watchers, names of entry points of hybrid_sched.watcher: what they tell of starts and changes of tasks has the "
        "limits of all read back at once. Leave out what a host lacks; without any, changes are found each isolation_period_s.",
    ),
    *(
        cfg.IntOpt(
            f"{name}_rated_bps",
            default=0,
            min=0,
            mutable=True,
            help=f"Rated speed in bytes/s of {what}. What tasks declare together is held to it, and tasks that declare no rate "
            "share the rest equally as soon as another declares one. 0, the default, stands for not known: declared rates are "
            "then held as they are, and the others have none.",
        )
        for name, what in (
            ("disk_read", "reading from the disk that holds the tasks' data"),
            ("disk_write", "writing to the disk that holds the tasks' data"),
            ("net_in", "receiving from the network of the tasks"),
            ("net_out", "sending to the network of the tasks"),
        )
    ),
    cfg.IntOpt(
        "io_reserve_percent",
        default=10,
        min=0,
        max=99,
        mutable=True,
        help="Part of each rated speed that is kept for the host itself, in percent: its log, its images, its live migrations. "
        "The default leaves most to the tasks.",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/hybrid-sched",
        help="Directory on local disk for what the agent must know after a restart, in one file named after the host. It must "
        "outlast reboots: the CPU weights that squeezed tasks get back are in it.",
    ),
    cfg.IntOpt(
        "unsent_reports_kept",
        default=6,
        min=1,
        mutable=True,
        help="Reports that wait at most while the broker is away; the newest are kept. The default is one minute of the "
        "default period, twice what the engine would take.",
    ),
    cfg.FloatOpt(
        "unsent_max_age_s",
        default=30.0,
        min=1.0,
        mutable=True,
        help="Seconds after which a report that waits for the broker is given up. The default is the engine's [quota] "
        "report_max_age_s, since it refuses older ones.",
    ),
    cfg.FloatOpt(
        "squeeze_max_age_s",
        default=300.0,
        min=1.0,
        mutable=True,
        help="Seconds after which reduced CPU weights are given back unless the engine has renewed its order, so that a dead "
        "engine keeps no task slow. Keep it longer than a restart of the engine takes; the default leaves ample time.",
    ),
    cfg.StrOpt(
        "libvirt_uri",
        default="qemu:///system",
        help="libvirt connection of the guests. Reading is enough for the source; the isolator writes.",
    ),
    cfg.StrOpt(
        "docker_url",
        default="unix:///var/run/docker.sock",
        help="URL of the Docker API that Zun uses on this host: [docker] api_url of zun.conf there.",
    ),
    cfg.StrOpt(
        "declared_path",
        default="/var/lib/zun/hybrid-sched",
        help="Directory in which Zun's driver hybrid_docker notes what each container declared: [hybrid_sched] declared_path "
        "of zun.conf. Of a container without a note what Docker tells counts when it is seen first.",
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
        help="CPUs kept for the host itself: [DEFAULT] reserved_host_cpus of Nova, whose default this is. They are the first "
        "ones: where limits are enforced, no task runs on these. Name none of them in [compute] cpu_dedicated_set of Nova.",
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
