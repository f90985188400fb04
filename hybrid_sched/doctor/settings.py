# SPDX-License-Identifier: Apache-2.0
"""What of Nova's and Zun's configuration matters for sharing, read from their files without importing either."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from oslo_config import cfg

from hybrid_sched.core.doctor.facts import NovaSettings, Unseen, ZunSettings

_Settings = TypeVar("_Settings", NovaSettings, ZunSettings)
_RATIOS = {"VCPU": "cpu", "MEMORY_MB": "ram", "DISK_GB": "disk"}
# Defaults are those of Nova 34 and Zun 18.
_RATIO_OPTIONS = [cfg.FloatOpt(f"{name}_allocation_ratio") for name in _RATIOS.values()]
_NOVA_DEFAULT = [
    cfg.StrOpt("host"),
    cfg.IntOpt("reserved_host_cpus", default=0),
    cfg.IntOpt("reserved_host_memory_mb", default=512),
    cfg.IntOpt("reserved_host_disk_mb", default=0),
    *_RATIO_OPTIONS,
]
_ZUN_DEFAULT = [
    cfg.StrOpt("host"),
    cfg.StrOpt("container_driver", default="docker"),
    cfg.StrOpt("capsule_driver", default="cri"),
]


def nova_settings(path: Path, machine: str) -> NovaSettings | Unseen:
    """Read Nova's.

    :param path: of a file, or of a folder with several as ``--config-dir`` takes it.
    :param machine: name of this machine, for files that name no host.
    :returns: the settings, or why there are none.
    """
    return _read(path, "nova", lambda conf: _nova(conf, str(path), machine))


def zun_settings(path: Path, machine: str) -> ZunSettings | Unseen:
    """Read Zun's, as :func:`nova_settings` reads Nova's."""
    return _read(path, "zun", lambda conf: _zun(conf, str(path), machine))


def _read(
    path: Path, service: str, interpret: Callable[[cfg.ConfigOpts], _Settings]
) -> _Settings | Unseen:
    option = f"--{service}-conf"
    if not path.exists():
        return Unseen(
            f"{path} is not there: the settings of {service} were not checked.",
            f"Run the doctor where the file is, or name it with {option}.",
            expected=True,
        )
    conf = cfg.ConfigOpts()
    kind = "dir" if path.is_dir() else "file"
    try:
        conf(
            [f"--config-{kind}={path}"],
            project=service,
            default_config_files=[],
            default_config_dirs=[],
            use_env=False,
        )
        return interpret(conf)
    except (cfg.Error, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        return Unseen(
            f"{path} cannot be used: {said}.",
            f"Correct the file, let the doctor read it, or name another one with {option}.",
        )


def _nova(conf: cfg.ConfigOpts, path: str, machine: str) -> NovaSettings:
    conf.register_opts(_NOVA_DEFAULT)
    conf.register_opts([cfg.StrOpt("cpu_dedicated_set")], group="compute")
    conf.register_opts(
        [cfg.ListOpt("enabled_filters"), cfg.ListOpt("weight_classes")], group="filter_scheduler"
    )
    conf.register_opts(
        [cfg.FloatOpt("cross_fill_weight_multiplier", default=1.0)], group="hybrid_sched"
    )
    scheduler = conf.filter_scheduler
    return NovaSettings(
        path=path,
        host=conf.host or machine,
        enabled_filters=_names(scheduler.enabled_filters),
        weight_classes=_names(scheduler.weight_classes),
        cross_fill_multiplier=conf.hybrid_sched.cross_fill_weight_multiplier,
        reserved={
            "VCPU": conf.reserved_host_cpus,
            "MEMORY_MB": conf.reserved_host_memory_mb,
            "DISK_GB": math.ceil(conf.reserved_host_disk_mb / 1024),
        },
        ratios=_ratios(conf),
        dedicated_cpus=len(cpu_set(conf.compute.cpu_dedicated_set or "")),
    )


def _zun(conf: cfg.ConfigOpts, path: str, machine: str) -> ZunSettings:
    conf.register_opts(_ZUN_DEFAULT)
    conf.register_opts(
        [cfg.BoolOpt("host_shared_with_nova", default=False), *_RATIO_OPTIONS], group="compute"
    )
    conf.register_opts([cfg.ListOpt("enabled_filters")], group="scheduler")
    return ZunSettings(
        path=path,
        host=conf.host or machine,
        container_driver=conf.container_driver,
        capsule_driver=conf.capsule_driver,
        host_shared_with_nova=conf.compute.host_shared_with_nova,
        enabled_filters=_names(conf.scheduler.enabled_filters),
        ratios=_ratios(conf.compute),
    )


def _names(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _ratios(group: cfg.ConfigOpts) -> dict[str, float]:
    """Give the ratios that are forced: unset and 0 leave the inventory's."""
    found = {name: group[f"{option}_allocation_ratio"] for name, option in _RATIOS.items()}
    return {name: ratio for name, ratio in found.items() if ratio}


def cpu_set(written: str) -> frozenset[int]:
    """Read a set of CPUs as Nova does: ``4-12,^8,15``.

    :raises ValueError: when it is none.
    """
    taken: set[int] = set()
    left_out: set[int] = set()
    for part in (each.strip() for each in written.split(",")):
        if not part:
            continue
        try:
            first, _, last = part.removeprefix("^").partition("-")
            cpus = range(int(first), int(last or first) + 1)
        except ValueError:
            raise ValueError(f"[compute] cpu_dedicated_set: {part!r} is no CPU or range") from None
        (left_out if part.startswith("^") else taken).update(cpus)
    return frozenset(taken - left_out)
