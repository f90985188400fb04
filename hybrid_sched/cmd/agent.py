# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-agent``: reports on one host."""

import sys

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from oslo_config import cfg  # noqa: E402

from hybrid_sched import loading  # noqa: E402
from hybrid_sched.agent.service import ISOLATORS, SOURCES, WATCHERS, AgentService  # noqa: E402
from hybrid_sched.cmd.service import serve  # noqa: E402
from hybrid_sched.conf import agent  # noqa: E402
from hybrid_sched.loading import PluginNotFound  # noqa: E402


def main() -> int:
    """Run the agent until it is told to stop."""
    return serve("hybrid-sched-agent", AgentService, (agent,), _check)


def _check(conf: cfg.ConfigOpts) -> None:
    for option, namespace in (
        ("sources", SOURCES),
        ("isolators", ISOLATORS),
        ("watchers", WATCHERS),
    ):
        try:
            loading.require(namespace, conf.agent[option])
        except PluginNotFound as error:
            raise ValueError(f"[agent] {option}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
