# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-agent``: reports on one host."""

import sys

from hybrid_sched.agent.service import AgentService
from hybrid_sched.cmd.service import serve
from hybrid_sched.conf import agent


def main() -> int:
    """Run the agent until it is told to stop."""
    return serve("hybrid-sched-agent", AgentService, agent)


if __name__ == "__main__":
    sys.exit(main())
