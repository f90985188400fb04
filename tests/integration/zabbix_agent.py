# SPDX-License-Identifier: Apache-2.0
"""A real Zabbix agent for tests: on loopback, in the foreground, with a configuration of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

_PROGRAM = "zabbix_agentd"


def why_not() -> str | None:
    """Say why no agent can be started here; None when one can."""
    if shutil.which(_PROGRAM, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        return f"{_PROGRAM} is missing: install zabbix-agent (make packages)"
    return None


class ZabbixAgent:
    """One agent; it ends with the ``with``.

    :param directory: for its configuration and its log.
    :param port: on which it listens.
    :param prefix: words before the command, for example to run it in a namespace.
    :param settings: further lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        prefix: Sequence[str] = (),
        settings: Sequence[str] = (),
    ) -> None:
        self._prefix = prefix
        self._file = directory / f"zabbix-{port}.conf"
        self.log_file = self._file.with_suffix(".log")
        lines = [
            "Server=127.0.0.1",
            "ListenIP=127.0.0.1",
            f"ListenPort={port}",
            "StartAgents=1",
            "LogType=console",
            f"PidFile={self._file.with_suffix('.pid')}",
            "AllowRoot=1",
            *settings,
        ]
        self._file.write_text("\n".join(lines) + "\n")

    def __enter__(self) -> ZabbixAgent:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, _PROGRAM, "-f", "-c", str(self._file)],
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # Its children are in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
