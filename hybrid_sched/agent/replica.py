# SPDX-License-Identifier: Apache-2.0
"""The agent's state on disk: one file with a checksum, replaced as a whole.

A file rather than a database: the state is about 100 KiB with 200 tasks, one process writes all of it two or three times
a period, and nobody searches it. Written to the side, synced, and renamed over the old one, it is the old state or the new one
after a ``kill -9`` and after a loss of power. The checksum tells of what a disk or a person did to it later, which SQLite does
not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from oslo_log import log

from hybrid_sched.agent.state import State, state_from_json, state_to_json

LOG = log.getLogger(__name__)

#: Names the program and the form of what follows; another form gets another number.
_MAGIC = b"hybrid-sched-agent-replica 1 "


class ReplicaInUse(Exception):
    """Another agent holds the replica: both would give their reports the same numbers."""


class DamagedReplica(ValueError):
    """A file that is not, or no longer, what an agent wrote."""


class Replica:
    """The state, which may be changed by any thread; a change is on disk before it is seen.

    The agent goes on when it cannot be written, from memory and under a new ``boot_id``, so that no number of the life on the
    disk is used twice.

    :param directory: of the file; made when missing.
    :param host: names the file.
    :raises ReplicaInUse: while another process holds it.
    """

    def __init__(self, directory: Path, host: str) -> None:
        name = quote(host, safe="")
        self._path = directory / f"{name}.json"
        self._changing = threading.Lock()
        #: Why it cannot be written, as a sentence; None while it can.
        self.fault: str | None = None
        self._held: int | None = None
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._held = _lock(directory / f"{name}.lock")
        except OSError as error:
            self._note_fault(error)
        self._state = self._first_state()

    @property
    def state(self) -> State:
        """Give the present state."""
        return self._state

    def update(self, change: Callable[[State], State]) -> State:
        """Change the state and give the new one.

        :param change: gives the new state for the present one; may be asked twice.
        """
        with self._changing:
            state = change(self._state)
            if state is self._state:
                return state
            try:
                _write(self._path, to_bytes(state))
            except OSError as error:
                if self.fault is None:
                    state = change(replace(self._state, boot_id=_new_boot_id()))
                    self._note_fault(error)
            else:
                if self.fault is not None:
                    LOG.info("The state is written to %s again.", self._path)
                self.fault = None
            self._state = state
            return state

    def close(self) -> None:
        """Let another process have it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _first_state(self) -> State:
        read = self._read()
        if read is None:
            return State(boot_id=_new_boot_id())
        # What can be read but not written must not go on counting.
        return read if self.fault is None else replace(read, boot_id=_new_boot_id())

    def _read(self) -> State | None:
        try:
            return from_bytes(self._path.read_bytes())
        except FileNotFoundError:
            LOG.info("There is no %s: a new life begins.", self._path)
        except (OSError, DamagedReplica) as error:
            aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
            try:
                self._path.rename(aside)
            except OSError as reason:
                self._note_fault(reason)
            LOG.warning(
                "%s cannot be used (%s). It is set aside as %s and a new life begins; CPU weights of tasks that were squeezed "
                "are not known any more: see that they are what they should be.",
                self._path,
                error,
                aside.name,
            )
        return None

    def _note_fault(self, error: OSError) -> None:
        self.fault = (
            f"The state cannot be written to {self._path}: {error.strerror}. Until it can, a restart begins a new life: "
            "see [agent] state_path."
        )
        LOG.warning("%s", self.fault)


def to_bytes(state: State) -> bytes:
    """Give what a file with the state contains."""
    body = json.dumps(state_to_json(state), separators=(",", ":")).encode()
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def from_bytes(content: bytes) -> State:
    """Read what a file contains.

    :raises DamagedReplica: unless all of it is as it was written.
    """
    header, _, body = content.partition(b"\n")
    if not header.startswith(_MAGIC):
        raise DamagedReplica("it is no replica that this version knows")
    if header.removeprefix(_MAGIC) != hashlib.sha256(body).hexdigest().encode():
        raise DamagedReplica("its checksum does not fit")
    try:
        return state_from_json(json.loads(body))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedReplica(f"another version wrote it: {type(error).__name__}") from None


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Without it a loss of power may bring the old name back.
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(path: Path) -> int:
    """Take the lock, which the kernel gives back however the process ends.

    :raises ReplicaInUse: when another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ReplicaInUse(f"another agent holds {path}") from None
    return descriptor


def _new_boot_id() -> str:
    return str(uuid.uuid4())
