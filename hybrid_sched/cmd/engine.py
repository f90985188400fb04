# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-engine``: the quota service."""

import sys

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from oslo_config import cfg  # noqa: E402

from hybrid_sched import loading  # noqa: E402
from hybrid_sched.clients import trusts  # noqa: E402
from hybrid_sched.clients.nova import nova_client  # noqa: E402
from hybrid_sched.clients.placement import placement_client  # noqa: E402
from hybrid_sched.clients.session import session_of  # noqa: E402
from hybrid_sched.clients.zun import zun_client  # noqa: E402
from hybrid_sched.cmd.collector import collect_seldom  # noqa: E402
from hybrid_sched.cmd.service import serve  # noqa: E402
from hybrid_sched.conf import (  # noqa: E402
    clients,
    coordination,
    database,
    metrics,
    queue,
    quota,
    watchdog,
)
from hybrid_sched.db import Database, DatabaseError, DatabaseNotReady  # noqa: E402
from hybrid_sched.queue.duty import QueueDuty  # noqa: E402
from hybrid_sched.queue.packers import PACKERS  # noqa: E402
from hybrid_sched.quota.history import HistoryDuty  # noqa: E402
from hybrid_sched.quota.service import QuotaService  # noqa: E402
from hybrid_sched.watchdog.duty import WatchdogDuty  # noqa: E402
from hybrid_sched.watchdog.executors import NAMESPACE as EXECUTORS  # noqa: E402
from hybrid_sched.watchdog.policy import STRATEGIES  # noqa: E402

#: Modules of the options that the engine reads.
OPTIONS = (quota, queue, watchdog, coordination, database, clients, metrics)


class EngineService(QuotaService):
    """The engine as it is installed: it shares and keeps a history of that, works on the queue, and watches hosts."""

    duties = (HistoryDuty, QueueDuty, WatchdogDuty)


def main() -> int:
    """Run the engine until it is told to stop."""
    collect_seldom()
    return serve("hybrid-sched-engine", EngineService, OPTIONS, check)


def check(conf: cfg.ConfigOpts) -> None:
    """Refuse options that cannot be used, and a database that must be made ready first.

    :raises ValueError: with a sentence that says what to do.
    """
    check_options(conf)
    base = Database(**{**database.parameters(conf), "max_retries": 0})
    try:
        base.check()
    except DatabaseNotReady as error:
        raise ValueError(str(error)) from None
    except DatabaseError:
        # One that is away may come back; the service waits for it and says so.
        return
    finally:
        base.close()


def check_options(conf: cfg.ConfigOpts) -> None:
    """Refuse options that cannot be used.

    :raises ValueError: with a sentence that says what to do.
    """
    quota.sharing_rules(conf)
    placement_client(conf)
    zun_client(conf)
    session_of(conf, trusts.GROUP)
    if nova_client(conf) is None and conf.quota.pools_from != "none":
        raise ValueError("[quota] pools_from: pools are read of Nova: set [nova] auth_type")
    try:
        loading.require(PACKERS, [conf.queue.packer])
    except loading.PluginNotFound as fault:
        raise ValueError(f"[queue] packer: {fault}") from None
    watchdog.parameters(conf)
    named = watchdog.executors(conf)
    try:
        loading.require(STRATEGIES, [conf.watchdog.strategy])
    except loading.PluginNotFound as fault:
        raise ValueError(f"[watchdog] strategy: {fault}") from None
    if conf.watchdog.mode == "on":
        try:
            loading.require(EXECUTORS, sorted(named.values()))
        except loading.PluginNotFound as fault:
            raise ValueError(f"[watchdog] executors: {fault}") from None


if __name__ == "__main__":
    sys.exit(main())
