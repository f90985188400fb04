# SPDX-License-Identifier: Apache-2.0
"""What the doctor knows: frozen values that adapters gather and checks judge. None means that nothing could be learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a provider has of one resource class.

    :param total: of it.
    :param reserved: kept for the host.
    :param ratio: allocation ratio.
    """

    total: int
    reserved: int
    ratio: float

    @property
    def capacity(self) -> int:
        """Give what may be claimed, as Placement works it out."""
        return int(max(0, self.total - self.reserved) * self.ratio)


@dataclass(frozen=True, slots=True)
class ProviderLook:
    """A root resource provider as one look at Placement showed it.

    :param uuid: its own.
    :param name: the node name under which Nova knows it.
    :param generation: grows with what is written to it.
    :param inventories: by resource class.
    :param held: amounts by consumer, then by resource class, of the provider and all its parts.
    """

    uuid: str
    name: str
    generation: int
    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    held: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """A compute node of Nova.

    :param uuid: of it, and of its provider.
    :param name: its node name, and that of its provider.
    :param host: of the service that runs it.
    :param vcpus: CPUs for guests that are not pinned, as nova-compute found them.
    :param memory_mb: of the host, as nova-compute found it.
    :param version: of the hypervisor, 6002000 for 6.2.0.
    """

    uuid: str
    name: str
    host: str
    vcpus: int
    memory_mb: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A service of Nova on a host.

    :param binary: its name, ``nova-compute``.
    :param host: where.
    """

    binary: str
    host: str


@dataclass(frozen=True, slots=True)
class KnownContainer:
    """A container or capsule of Zun.

    :param uuid: of it.
    :param status: as Zun writes it.
    :param host: where it is; None where no host was found.
    """

    uuid: str
    status: str
    host: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """Whom Nova and Zun knew at one moment, each asked for all projects.

    :param servers: uuids of servers.
    :param migrations: uuids of migrations that are not over.
    :param ended_migrations: uuids of those that are over.
    :param containers: containers and capsules by uuid.
    :param members: uuids of the containers inside capsules.
    :param others: uuids of consumers that were written with the type of another service.
    """

    servers: frozenset[str] = frozenset()
    migrations: frozenset[str] = frozenset()
    ended_migrations: frozenset[str] = frozenset()
    containers: Mapping[str, KnownContainer] = field(default_factory=dict)
    members: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    def knows(self, uuid: str) -> bool:
        """Say whether something with a UUID exists, a migration that is over aside."""
        return (
            uuid in self.servers
            or uuid in self.migrations
            or uuid in self.containers
            or uuid in self.members
            or uuid in self.others
        )


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the cloud. The doctor takes two, some seconds apart.

    :param providers: the root providers.
    :param known: whom Nova and Zun know; None where one of them did not answer completely.
    """

    providers: tuple[ProviderLook, ...]
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class ReportedHost:
    """What the quota service knows of a host from its agent.

    :param host: its name.
    :param fresh: whether its last report is young and complete.
    :param vcpu: what may be declared, as the agent works it out.
    :param memory_mb: what may be declared.
    :param clock_offset_s: how far its clock is ahead of the engine's, less the time that the report took.
    :param version: of the agent; empty where it tells none.
    """

    host: str
    fresh: bool
    vcpu: int
    memory_mb: int
    clock_offset_s: float = 0.0
    version: str = ""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the quota service tells.

    :param version: of it.
    :param hosts: that report.
    :param refused_clocks: seconds by which the clocks of hosts are ahead whose reports are refused for it.
    """

    version: str
    hosts: tuple[ReportedHost, ...] = ()
    refused_clocks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NovaSettings:
    """What the doctor reads of Nova's configuration.

    :param path: of the file.
    :param host: ``[DEFAULT] host``, or the name of this machine.
    :param enabled_filters: of ``[filter_scheduler]``; None where the file says nothing of it.
    :param weight_classes: of ``[filter_scheduler]``; None where the file says nothing of it.
    :param cross_fill_multiplier: of ``[hybrid_sched]``.
    :param reserved: reserves by resource class.
    :param ratios: allocation ratios that are forced, by resource class.
    :param dedicated_cpus: how many CPUs ``[compute] cpu_dedicated_set`` names.
    """

    path: str
    host: str
    enabled_filters: tuple[str, ...] | None = None
    weight_classes: tuple[str, ...] | None = None
    cross_fill_multiplier: float = 1.0
    reserved: Mapping[str, int] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    dedicated_cpus: int = 0


@dataclass(frozen=True, slots=True)
class ZunSettings:
    """What the doctor reads of Zun's configuration.

    :param path: of the file.
    :param host: ``[DEFAULT] host``, or the name of this machine.
    :param container_driver: of ``[DEFAULT]``.
    :param capsule_driver: of ``[DEFAULT]``.
    :param host_shared_with_nova: of ``[compute]``.
    :param enabled_filters: of ``[scheduler]``; None where the file says nothing of it.
    :param ratios: allocation ratios that are forced, by resource class.
    """

    path: str
    host: str
    container_driver: str = "docker"
    capsule_driver: str = "cri"
    host_shared_with_nova: bool = False
    enabled_filters: tuple[str, ...] | None = None
    ratios: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DockerContainer:
    """A container of Zun's that Docker has.

    :param container_id: Docker's.
    :param uuid: that Zun gave it.
    :param state: as Docker tells it: ``running``, ``exited``...
    """

    container_id: str
    uuid: str
    state: str


@dataclass(frozen=True, slots=True)
class LocalFacts:
    """What the machine that the doctor runs on tells of itself.

    :param host: its name, as Nova and Zun know it.
    :param clock_synchronised: whether the kernel holds its clock for disciplined (NTP).
    :param cgroup_mode: ``v1``, ``v2``, ``hybrid`` or ``none``.
    :param controllers: of control groups that can be used.
    :param kernel: its release, ``6.1.0-18-amd64``.
    :param kernel_parts: whether each part is there, by its name.
    :param has_pressure: whether pressure stall information can be read.
    :param versions: of programs on this host, by name.
    :param containers: of Zun in Docker.
    """

    host: str
    clock_synchronised: bool | None = None
    cgroup_mode: str = "none"
    controllers: frozenset[str] = frozenset()
    kernel: str = ""
    kernel_parts: Mapping[str, bool] = field(default_factory=dict)
    has_pressure: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[DockerContainer, ...] | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that was not looked at.

    :param sentence: what, and why.
    :param remedy: what would show it.
    :param expected: whether that is in order, as for a file that is on other machines.
    """

    sentence: str
    remedy: str
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered.

    :param looks: two looks at the cloud, or none.
    :param hypervisors: Nova's compute nodes.
    :param services: Nova's services.
    :param zun_hosts: names of Zun's compute nodes.
    :param engine: what the quota service tells.
    :param nova_conf: Nova's settings on this machine.
    :param zun_conf: Zun's settings on this machine.
    :param local: this machine, where it is a host that Nova or Zun use.
    :param own_version: of this program.
    :param unseen: what could not be looked at.
    """

    looks: tuple[Look, Look] | None = None
    hypervisors: Sequence[Hypervisor] | None = None
    services: Sequence[Service] | None = None
    zun_hosts: Sequence[str] | None = None
    engine: EngineFacts | None = None
    nova_conf: NovaSettings | None = None
    zun_conf: ZunSettings | None = None
    local: LocalFacts | None = None
    own_version: str = ""
    unseen: tuple[Unseen, ...] = ()
