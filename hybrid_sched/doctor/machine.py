# SPDX-License-Identifier: Apache-2.0
"""What the kernel of this machine tells: control groups, parts of traffic control, pressure, clock. Nothing is changed."""

from __future__ import annotations

import ctypes
import gzip
import platform
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path("/")
#: Parts of the kernel and the options that build them.
_OPTIONS = {
    "sch_htb": "CONFIG_NET_SCH_HTB",
    "ifb": "CONFIG_IFB",
    "act_mirred": "CONFIG_NET_ACT_MIRRED",
    "act_police": "CONFIG_NET_ACT_POLICE",
    "cls_u32": "CONFIG_NET_CLS_U32",
    "cls_flower": "CONFIG_NET_CLS_FLOWER",
}
#: Names of version 1 that differ in version 2.
_RENAMED = {"blkio": "io"}
_CONTROLLERS = frozenset({"cpu", "cpuset", "memory", "blkio", "pids"})
_TIME_ERROR = 5


def control_groups(root: Path = _ROOT) -> tuple[str, frozenset[str]]:
    """Find the version of control groups and the controllers that can be used.

    :param root: where ``/proc`` and the mount points lie.
    :returns: ``v1``, ``v2``, ``hybrid`` (both are mounted) or ``none``; and the controllers by their names in version 2.
    """
    kinds: set[str] = set()
    controllers: set[str] = set()
    try:
        lines = (root / "proc" / "self" / "mounts").read_text().splitlines()
    except OSError:
        return "none", frozenset()
    for line in lines:
        _, mounted, kind, options, *_ = line.split(" ")
        if kind == "cgroup" and (found := _CONTROLLERS & set(options.split(","))):
            kinds.add("v1")
            controllers |= found
        elif kind == "cgroup2":
            kinds.add("v2")
            try:
                listed = (root / mounted.lstrip("/") / "cgroup.controllers").read_text()
            except OSError:
                continue
            controllers |= set(listed.split())
    mode = "hybrid" if len(kinds) > 1 else next(iter(kinds), "none")
    return mode, frozenset(_RENAMED.get(name, name) for name in controllers)


def kernel_parts(root: Path = _ROOT, release: str | None = None) -> dict[str, bool]:
    """Find which parts of traffic control the kernel has, loaded or not.

    :param release: of the kernel; None for the running one.
    :returns: whether each is there; what cannot be told is left out.
    """
    release = release or platform.release()
    modules = _modules(root / "lib" / "modules" / release)
    config = _config(root, release)
    found = {}
    for name, option in _OPTIONS.items():
        if (root / "sys" / "module" / name).exists() or (modules and name in modules):
            found[name] = True
        elif config is not None:
            # What is a module there but not on disk cannot be loaded.
            found[name] = config.get(option) == "y"
        elif modules is not None:
            found[name] = False
    return found


def has_pressure(root: Path = _ROOT) -> bool:
    """Say whether pressure stall information can be read."""
    try:
        # Where it is switched off at boot the files are there, but cannot be opened.
        return bool((root / "proc" / "pressure" / "cpu").read_text())
    except OSError:
        return False


def clock_synchronised() -> bool | None:
    """Say whether the kernel holds its clock for disciplined; None when it does not tell."""
    # adjtimex(2) with no mode set only reads, and its result alone is needed, not the fields.
    timex = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (AttributeError, OSError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _config(root: Path, release: str) -> Mapping[str, str] | None:
    """Read how the kernel was configured; None where that is not told."""
    text = None
    for path in (root / "proc" / "config.gz", root / "boot" / f"config-{release}"):
        try:
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except OSError:
            continue
        break
    if text is None:
        return None
    lines = (line for line in text.decode(errors="replace").splitlines() if line[:1] != "#")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _modules(folder: Path) -> frozenset[str] | None:
    """Read the names of modules that can be loaded or are built in; None where there is no list."""
    names: set[str] = set()
    told = False
    for name in ("modules.builtin", "modules.dep"):
        try:
            lines = (folder / name).read_text().splitlines()
        except OSError:
            continue
        told = told or name == "modules.dep"
        paths = (line.partition(":")[0].rpartition("/")[2] for line in lines)
        names |= {path.partition(".ko")[0].replace("-", "_") for path in paths}
    return frozenset(names) if told else None
