# SPDX-License-Identifier: Apache-2.0
"""Family ``orphans``: what is held for guests and containers that are no more."""

from __future__ import annotations

from collections.abc import Iterator

from hybrid_sched.core.doctor.facts import Facts, Known
from hybrid_sched.core.doctor.findings import (
    Finding,
    Kind,
    ReleaseClaim,
    RemoveContainer,
    Safety,
    Severity,
)
from hybrid_sched.core.doctor.hosts import on_shared_hosts

ALLOCATION = Kind("orphans.allocation", Severity.ERROR, Safety.SAFE)
MIGRATION_OVER = Kind("orphans.migration_over", Severity.WARNING, Safety.ASK)
CONTAINER_WITHOUT_HOST = Kind("orphans.container_without_host", Severity.WARNING, Safety.ASK)
DOCKER_ENDED = Kind("orphans.docker_ended", Severity.WARNING, Safety.ASK)
DOCKER_RUNNING = Kind("orphans.docker_running", Severity.ERROR)

#: Statuses in which a container without a host cannot come to anything any more.
HOPELESS = frozenset({"Error", "Deleted"})
_ENDED = frozenset({"exited", "created", "dead"})


def orphan_allocations(facts: Facts) -> Iterator[Finding]:
    """Look for claims of consumers that neither service knew at either look."""
    for host, uuid, amounts, known in _held_twice(facts):
        if any(each.knows(uuid) for each in known):
            continue
        shown = ", ".join(f"{amount} {name}" for name, amount in sorted(amounts.items()))
        if known[1].ended_migrations >= {uuid}:
            yield MIGRATION_OVER.found(
                host,
                f"Migration {uuid} is over and still holds {shown} of host {host}.",
                f"Let the doctor delete it, or `openstack resource provider allocation delete {uuid}`, once the guest that it "
                "moved is on one host for good.",
                ReleaseClaim(uuid),
            )
        else:
            yield ALLOCATION.found(
                host,
                f"Consumer {uuid} holds {shown} of host {host}, and is no server, migration, container or capsule that Nova "
                "or Zun know.",
                f"Let the doctor delete it, or `openstack resource provider allocation delete {uuid}`.",
                ReleaseClaim(uuid),
            )


def containers_without_host(facts: Facts) -> Iterator[Finding]:
    """Look for claims of containers that failed before they had a host."""
    for host, uuid, _, known in _held_twice(facts):
        seen = [each.containers.get(uuid) for each in known]
        if all(each is not None and each.host is None and each.status in HOPELESS for each in seen):
            yield CONTAINER_WITHOUT_HOST.found(
                host,
                f"Container {uuid} found no host and still holds an allocation of host {host}.",
                f"Let the doctor delete the allocation; the container can be deleted with `openstack appcontainer delete "
                f"--force {uuid}`.",
                ReleaseClaim(uuid, unknown_to_zun=False),
            )


def left_in_docker(facts: Facts) -> Iterator[Finding]:
    """Look for Zun's containers in Docker that Zun does not know."""
    if facts.looks is None or facts.local is None:
        return
    known = [look.known for look in facts.looks]
    for container in facts.local.containers or ():
        if any(each is None or each.knows(container.uuid) for each in known):
            continue
        shown = f"Docker has container zun-{container.uuid} ({container.state}), which Zun does not know"
        if container.state in _ENDED:
            yield DOCKER_ENDED.found(
                facts.local.host,
                f"{shown}; its files take room on the disk.",
                f"Let the doctor remove it, or `docker rm {container.container_id[:12]}`.",
                RemoveContainer(container.container_id, container.uuid),
            )
        else:
            yield DOCKER_RUNNING.found(
                facts.local.host,
                f"{shown}: it uses what is promised to others.",
                "See what it is (`docker inspect`), save what is worth it, and `docker rm --force "
                f"{container.container_id[:12]}`.",
            )


def strangers(facts: Facts) -> frozenset[str]:
    """Name the consumers on shared hosts whom nobody knows: of them alone has it to be asked whether they are migrations."""
    return frozenset(
        uuid
        for host, uuid, _, known in _held_twice(facts)
        if not any(each.knows(uuid) for each in known)
    )


def _held_twice(facts: Facts) -> Iterator[tuple[str, str, dict[str, int], tuple[Known, Known]]]:
    """Give host, consumer and amounts of what was held at both looks; nothing unless both services answered both times."""
    if facts.looks is None:
        return
    first, second = (look.known for look in facts.looks)
    if first is None or second is None:
        return
    for host, before, after in on_shared_hosts(facts):
        for uuid, amounts in after.held.items():
            if uuid in before.held:
                yield host.name, uuid, dict(amounts), (first, second)
