# SPDX-License-Identifier: Apache-2.0
"""What the files of the configuration say that no program of ours reads, or that is to be written otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from oslo_config import cfg


def complaints(
    conf: cfg.ConfigOpts, groups: Iterable[tuple[cfg.OptGroup, list[cfg.Opt]]]
) -> Iterator[str]:
    """Name options that are unknown or deprecated, a sentence each.

    :param conf: whose files are looked at.
    :param groups: with all options that they have; what other groups say is not judged.
    """
    known = {group.name: options for group, options in groups}
    old = dict(_deprecated(known))
    for path in _files(conf):
        for group, name in _settings(path):
            if remedy := old.get((group, name)):
                yield f"{path}: [{group}] {name} is deprecated: {remedy}."
            elif group in known and name not in {option.dest for option in known[group]}:
                yield f"{path}: [{group}] {name} is no option of this release and does nothing: correct its name or remove it."


def _files(conf: cfg.ConfigOpts) -> Iterator[Path]:
    yield from map(Path, conf.config_file or ())
    for folder in conf.config_dirs:
        yield from sorted(Path(folder).glob("*.conf"))


def _settings(path: Path) -> list[tuple[str, str]]:
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), sections).parse()
    return [
        (group, name.replace("-", "_")) for group, options in sections.items() for name in options
    ]


def _deprecated(known: dict[str, list[cfg.Opt]]) -> Iterator[tuple[tuple[str, str], str]]:
    for group, options in known.items():
        for option in options:
            if option.deprecated_for_removal:
                reason = option.deprecated_reason or "it will be removed"
                yield (group, option.dest), f"remove it, since {reason}"
            for each in option.deprecated_opts:
                place = each.group or group, (each.name or option.name).replace("-", "_")
                yield place, f"write [{group}] {option.dest}"
