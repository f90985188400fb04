# SPDX-License-Identifier: Apache-2.0
"""Family ``settings``: options of Nova and Zun that undo sharing."""

from __future__ import annotations

from collections.abc import Iterator

from hybrid_sched.core.doctor.facts import Facts
from hybrid_sched.core.doctor.findings import Finding, Kind, Severity
from hybrid_sched.core.doctor.hosts import same_host

CONTAINER_DRIVER = Kind("settings.container_driver", Severity.ERROR)
CAPSULE_DRIVER = Kind("settings.capsule_driver", Severity.NOTE)
NOT_SHARED = Kind("settings.not_shared", Severity.ERROR)
NOVA_FILTER = Kind("settings.nova_filter", Severity.ERROR)
NOVA_WEIGHER = Kind("settings.nova_weigher", Severity.WARNING)
NOVA_MULTIPLIER = Kind("settings.nova_multiplier", Severity.WARNING)
ZUN_FILTER = Kind("settings.zun_filter", Severity.ERROR)
ZUN_ORDER = Kind("settings.zun_order", Severity.WARNING)
NOT_TOLD = Kind("settings.not_told", Severity.NOTE)

OUR_DRIVER = "hybrid_docker"
SHARE_FILTER = "HybridShareFilter"
ORDER_FILTER = "CrossFillOrderFilter"
WEIGHER = "hybrid_sched.weighers.nova.CrossFillWeigher"
_SEEN_CAPSULE_DRIVERS = frozenset({OUR_DRIVER, "docker"})


def zun_drivers(facts: Facts) -> Iterator[Finding]:
    """Look at who writes the inventory on a shared host, and at sharing itself."""
    conf = facts.zun_conf
    if conf is None:
        return
    if not conf.host_shared_with_nova:
        nova = {
            service.host for service in facts.services or () if service.binary == "nova-compute"
        }
        if any(same_host(conf.host, host) for host in nova):
            yield NOT_SHARED.found(
                conf.host,
                f"[compute] host_shared_with_nova of {conf.path} is false, but nova-compute runs on {conf.host}: Zun makes a "
                "provider of its own, and the host is promised twice.",
                "Set it to true, and [DEFAULT] container_driver = hybrid_docker, then restart zun-compute and delete Zun's own "
                "provider.",
            )
        return
    if conf.container_driver != OUR_DRIVER:
        yield CONTAINER_DRIVER.found(
            conf.host,
            f"[DEFAULT] container_driver of {conf.path} is {conf.container_driver} on a shared host: at each update it "
            "replaces Nova's inventory with its own.",
            f"Set it to {OUR_DRIVER}, restart zun-compute, then nova-compute.",
        )
    if conf.capsule_driver not in _SEEN_CAPSULE_DRIVERS:
        yield CAPSULE_DRIVER.found(
            conf.host,
            f"[DEFAULT] capsule_driver of {conf.path} is {conf.capsule_driver}: capsules run beside Docker, where neither the "
            "agent's source nor its isolator sees them. They count by their claims alone.",
            "Set it to docker if capsules are used; it does not matter otherwise.",
        )


def nova_scheduling(facts: Facts) -> Iterator[Finding]:
    """Look for the plug-ins in Nova's scheduler."""
    conf = facts.nova_conf
    if conf is None:
        return
    schedules = any(
        service.binary == "nova-scheduler" and same_host(service.host, conf.host)
        for service in facts.services or ()
    )
    if conf.enabled_filters is None and not schedules:
        yield NOT_TOLD.found(
            conf.host,
            f"{conf.path} says nothing of [filter_scheduler] enabled_filters, and no nova-scheduler is known on {conf.host}: "
            "whether guests pass the share gate was not checked.",
            "Run the doctor with --nova-conf set to the file that nova-scheduler reads.",
        )
        return
    if SHARE_FILTER not in (conf.enabled_filters or ()):
        yield NOVA_FILTER.found(
            conf.host,
            f"{SHARE_FILTER} is not in [filter_scheduler] enabled_filters of {conf.path}: guests are placed without regard to "
            "containers and shares.",
            f"Put {SHARE_FILTER} last there, hybrid_sched.filters.nova.{SHARE_FILTER} into available_filters, and restart "
            "nova-scheduler.",
        )
    if WEIGHER not in (conf.weight_classes or ()):
        yield NOVA_WEIGHER.found(
            conf.host,
            f"{WEIGHER} is not in [filter_scheduler] weight_classes of {conf.path}: guests are not placed by Cross-Fill, and "
            "plans of the queue are not followed.",
            "Add it there and restart nova-scheduler.",
        )
    elif conf.cross_fill_multiplier == 0:
        yield NOVA_MULTIPLIER.found(
            conf.host,
            f"[hybrid_sched] cross_fill_weight_multiplier of {conf.path} is 0: the Cross-Fill weigher is switched off.",
            "Set it above 0, or leave it out for the default of 1, and restart nova-scheduler.",
        )


def zun_scheduling(facts: Facts) -> Iterator[Finding]:
    """Look for the plug-ins in Zun's scheduler, which runs inside zun-api."""
    conf = facts.zun_conf
    if conf is None:
        return
    if conf.enabled_filters is None:
        yield NOT_TOLD.found(
            conf.host,
            f"{conf.path} says nothing of [scheduler] enabled_filters: if zun-api reads this file, containers are placed "
            "without regard to guests and shares.",
            "Run the doctor with --zun-conf set to the file that zun-api reads, or set the option in this one.",
        )
        return
    if SHARE_FILTER not in conf.enabled_filters:
        yield ZUN_FILTER.found(
            conf.host,
            f"{SHARE_FILTER} is not in [scheduler] enabled_filters of {conf.path}: containers are placed without regard to "
            "guests and shares.",
            f"Put {SHARE_FILTER} there before {ORDER_FILTER}, hybrid_sched.filters.zun.all_filters into available_filters, "
            "and restart zun-api.",
        )
    if conf.enabled_filters[-1:] != (ORDER_FILTER,):
        where = "not the last of" if ORDER_FILTER in conf.enabled_filters else "not in"
        yield ZUN_ORDER.found(
            conf.host,
            f"{ORDER_FILTER} is {where} [scheduler] enabled_filters of {conf.path}: Zun takes the first host that the last "
            "filter yields, so containers are not placed by Cross-Fill.",
            f"Put {ORDER_FILTER} last and restart zun-api.",
        )
