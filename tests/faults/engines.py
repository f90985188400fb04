# SPDX-License-Identifier: Apache-2.0
"""Real engines in processes of their own that start in a moment and can be killed at any.

They are forked from a server that has imported everything already (``multiprocessing``'s ``forkserver``): a console script
needs more than a second to start, and a sequence of faults starts several engines.
"""

from __future__ import annotations

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

import multiprocessing  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from oslo_config import cfg  # noqa: E402
from oslo_log import log  # noqa: E402

from hybrid_sched.conf import clients, coordination, database, metrics, quota  # noqa: E402
from hybrid_sched.quota.service import QuotaService  # noqa: E402
from hybrid_sched.rpc import bus  # noqa: E402

_REFUSED = re.compile(r"Report refused \((\w+)\)")
_TRACEBACK = re.compile(r"ERROR (hybrid_sched|oslo_messaging\.rpc)\S* Traceback")


def use_addresses(label: str) -> None:
    """Give this process's part of the bus names of its own: what an earlier sequence left on the broker is not for it."""
    bus.EXCHANGE = f"hybrid_sched-{label}"
    bus.ENGINE_TOPIC = f"hybrid-sched-engine-{label}"
    bus.AGENT_TOPIC = f"hybrid-sched-agent-{label}"
    bus.SNAPSHOT_TOPIC = f"hybrid-sched-snapshot-{label}"


def forkserver() -> Any:
    """Give the context that makes engines; its server starts with the first of them and ends with this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # Not every release of Python gives the server the path of this process.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return context


def _serve(config_file: str, label: str) -> None:
    """Be an engine, as ``hybrid-sched-engine`` is."""
    use_addresses(label)
    conf = cfg.CONF
    log.register_options(conf)
    for module in (quota, coordination, database, clients, metrics):
        module.register(conf)
    conf(["--config-file", config_file], project="hybrid-sched")
    log.setup(conf, "hybrid-sched-engine")
    QuotaService(0, conf).run()


class EngineProcess:
    """One engine.

    :param context: of :func:`forkserver`.
    :param member_id: its name in the election, and of its files.
    :param directory: for its configuration and its log.
    :param label: of its addresses on the bus.
    :param options: by group, then by name.
    """

    def __init__(
        self,
        context: Any,
        member_id: str,
        directory: Path,
        label: str,
        options: dict[str, dict[str, Any]],
    ) -> None:
        self._context = context
        self._label = label
        self.member_id = member_id
        self._config_file = directory / f"{member_id}.conf"
        self._log_file = directory / f"{member_id}.log"
        options = {**options, "DEFAULT": {**options["DEFAULT"], "log_file": self._log_file}}
        options["coordination"] = {**options["coordination"], "member_id": member_id}
        lines = []
        for group, values in options.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in values.items())]
        self._config_file.write_text("\n".join(lines) + "\n")
        self._process: Any = None
        self._is_frozen = False

    @property
    def is_alive(self) -> bool:
        """Say whether it runs; one that ended by itself is a failure."""
        process = self._process
        if process is None:
            return False
        assert process.exitcode is None, f"{self.member_id} ended: {self.log_text()[-2000:]}"
        return True

    @property
    def answers(self) -> bool:
        """Say whether it runs and is not frozen."""
        return self.is_alive and not self._is_frozen

    def start(self) -> None:
        """Start it."""
        self._process = self._context.Process(
            target=_serve, args=(str(self._config_file), self._label), daemon=True
        )
        self._process.start()

    def kill(self) -> None:
        """End it at once (``kill -9``)."""
        # Not alive for other threads before it ends, since it does not end by itself.
        process, self._process = self._process, None
        self._is_frozen = False
        process.kill()
        process.join()

    def freeze(self) -> None:
        """Let it stand still, as a pause of a virtual machine does."""
        os.kill(self._process.pid, signal.SIGSTOP)
        self._is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._is_frozen = False

    def log_text(self) -> str:
        """Give what it has logged in all of its lives."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    @property
    def has_logged_a_traceback(self) -> bool:
        """Say whether we logged one; the bus logs some of its own when connections break."""
        return _TRACEBACK.search(self.log_text()) is not None

    def refusals(self) -> Counter[str]:
        """Count the reports that it refused in all of its lives, by reason."""
        return Counter(_REFUSED.findall(self.log_text()))
