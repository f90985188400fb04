# SPDX-License-Identifier: Apache-2.0
"""The real programs, started with a configuration of their own and stopped by process id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_BIN = Path(sys.executable).parent
_STOP_TIMEOUT_S = 15


class Program:
    """One started program.

    :param name: of the command, for example ``hybrid-sched-engine``.
    :param directory: for its configuration and its log.
    :param url: of the broker.
    :param label: tells programs of one kind apart.
    :param options: by group, then by name.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        url: str,
        label: str = "",
        options: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self._name = name
        self._url = url
        self.config_file = directory / f"{name}{label}.conf"
        self.log_file = directory / f"{name}{label}.log"
        self._options: dict[str, dict[str, Any]] = {}
        self.write_options(options or {})
        self.process: subprocess.Popen[bytes] | None = None

    def write_options(self, options: dict[str, dict[str, Any]]) -> None:
        """Write the configuration file: these options over those of before."""
        for group, values in options.items():
            self._options.setdefault(group, {}).update(values)
        lines = ["[DEFAULT]", f"transport_url = {self._url}"]
        for group, values in self._options.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in values.items())]
        self.config_file.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start it; readiness is for the test to wait for."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [str(_BIN / self._name), "--config-file", str(self.config_file)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to end, as an init system does, and give its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(_STOP_TIMEOUT_S)
        self.process = None
        return code

    def kill(self) -> None:
        """End it and its workers at once, if it runs."""
        if self.process is not None:
            # Its workers are in its group, which may outlive it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def reload(self) -> None:
        """Tell it to read its mutable options again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def log_text(self) -> str:
        """Give what it has logged."""
        return self.log_file.read_text(errors="replace")


def manage(config_file: Path, *arguments: str, timeout_s: float = 30) -> Any:
    """Run ``hybrid-sched-manage`` with JSON output and give what it says."""
    done = run_manage(config_file, *arguments, "-f", "json", timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_manage(
    config_file: Path, *arguments: str, timeout_s: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run ``hybrid-sched-manage`` and give all of its answer."""
    return subprocess.run(
        [str(_BIN / "hybrid-sched-manage"), "--config-file", str(config_file), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
