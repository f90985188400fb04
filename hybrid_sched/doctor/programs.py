# SPDX-License-Identifier: Apache-2.0
"""Versions of the programs on this host; nothing of theirs is imported or run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil

#: Services whose environment has the distribution that is wanted.
_SERVICES = {"nova": "nova-compute", "zun": "zun-compute"}


def installed_versions() -> dict[str, str]:
    """Find the versions of Nova and Zun in the environments from which their services run here.

    :returns: by distribution; what does not run, or may not be looked at, is left out.
    """
    running = list(psutil.process_iter(["cmdline"]))
    found = {}
    for distribution, service in _SERVICES.items():
        for process in running:
            script = next(
                (each for each in process.info["cmdline"] or () if Path(each).name == service), None
            )
            version = script and _version(distribution, process.pid, Path(script))
            if version:
                found[distribution] = version
                break
    return found


def _version(distribution: str, pid: int, script: Path) -> str | None:
    """Look up a distribution where a process finds its packages."""
    # Its own root, since the service may run in a container image.
    root = Path("/proc") / str(pid) / "root"
    try:
        folders = [str(folder) for folder in _folders(root, script)]
    except OSError:
        return None
    versions = [each.version for each in metadata.distributions(name=distribution, path=folders)]
    return versions[0] if versions else None


def _folders(root: Path, script: Path) -> Iterator[Path]:
    if not script.is_absolute():
        return
    prefix = root / str(script.parent.parent).lstrip("/")
    yield from sorted(prefix.glob("lib/python3*/site-packages"))
    yield from sorted(prefix.glob("lib/python3*/dist-packages"))
    yield from sorted(prefix.glob("local/lib/python3*/dist-packages"))
