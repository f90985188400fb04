# SPDX-License-Identifier: Apache-2.0
"""Configuration files of the services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Section = Mapping[str, object]


def render(sections: Mapping[str, Section]) -> str:
    """Write sections in the form of oslo.config; a list gives its option once for each entry."""
    lines = []
    for name, options in sections.items():
        lines.append(f"[{name}]")
        for option, value in options.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{option} = {each}" for each in values]
        lines.append("")
    return "\n".join(lines)


def write(path: Path, sections: Mapping[str, Section]) -> Path:
    """Write a configuration file, readable by root alone since it holds passwords."""
    path.touch(mode=0o600)
    path.write_text(render(sections))
    return path
