# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-agent``: reports on one host."""

import sys

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from hybrid_sched.agent.service import AgentService  # noqa: E402
from hybrid_sched.cmd.service import serve  # noqa: E402
from hybrid_sched.conf import agent  # noqa: E402


def main() -> int:
    """Run the agent until it is told to stop."""
    return serve("hybrid-sched-agent", AgentService, agent)


if __name__ == "__main__":
    sys.exit(main())
