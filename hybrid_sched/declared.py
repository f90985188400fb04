# SPDX-License-Identifier: Apache-2.0
"""What the containers of a host declared, as Zun's driver notes it for the agent there: one file each.

Docker tells the agent the limits that a container has now, which the agent itself and others change. What it is to have is
known to Zun alone, and its driver writes it down whenever a container is made or updated.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.lifecycle import State
from hybrid_sched.core.resources import exact
from hybrid_sched.rpc.wire import number_to_wire

_FORM = 1
_UUID = re.compile("[0-9a-f-]{36}")
_MOST_BYTES = 4096
_NUMBERS = ("cpus", "cpu_percent")


class DamagedDeclaration(ValueError):
    """A file is not what the driver wrote; the message is a sentence that names it."""


class DeclaredContainers:
    """The declarations, on disk.

    :param directory: of the files; Zun's driver must be able to write there, nobody else.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def note(self, uuid: str, declaration: Declaration) -> None:
        """Write a declaration as a whole, over the one before.

        :raises OSError: when it cannot be written.
        """
        path = self._path(uuid)
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        with aside.open("w") as file:
            json.dump({"form": _FORM, **declaration_to_json(declaration)}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)

    def get(self, uuid: str) -> Declaration | None:
        """Read a declaration; None when there is none.

        :raises DamagedDeclaration: when it cannot be read.
        """
        path = self._path(uuid)
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError("it is too long")
            written = json.loads(path.read_bytes())
            if written.pop("form") != _FORM:
                raise ValueError("another version wrote it")
            return declaration_from_json(written)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedDeclaration(
                f"{path} cannot be used ({error}): update the container through Zun, so that it is written anew."
            ) from None

    def forget(self, uuid: str) -> None:
        """Remove a declaration, if there is one."""
        self._path(uuid).unlink(missing_ok=True)

    def _path(self, uuid: str) -> Path:
        if _UUID.fullmatch(uuid) is None:
            raise ValueError(f"{uuid[:64]!r} is no identifier of a container")
        return self._directory / f"{uuid}.json"


def declaration_to_json(declaration: Declaration) -> dict[str, Any]:
    """Write a declaration; a fraction as ``"a/b"``."""
    written = {each.name: getattr(declaration, each.name) for each in fields(Declaration)}
    return {**written, **{name: number_to_wire(written[name]) for name in _NUMBERS}}


def declaration_from_json(written: Mapping[str, Any]) -> Declaration:
    """Read a declaration.

    :raises KeyError, TypeError, ValueError, AttributeError: when it is none.
    """
    numbers = {name: exact(written[name]) for name in _NUMBERS}
    declaration = Declaration(**{**written, **numbers, "state": State(written["state"])})
    amounts = (
        declaration.memory_mb,
        declaration.cpu_shares or 0,
        declaration.disk_read_bps,
        declaration.disk_write_bps,
        declaration.disk_total_bps,
        declaration.net_in_bps,
        declaration.net_out_bps,
    )
    if any(type(amount) is not int or amount < 0 for amount in amounts) or declaration.cpus < 0:
        raise ValueError("an amount is no whole number of 0 or more")
    if not 0 < declaration.cpu_percent <= 100:
        raise ValueError("cpu_percent is not above 0 and at most 100")
    return declaration
