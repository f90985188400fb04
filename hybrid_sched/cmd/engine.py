# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-engine``: the quota service."""

import sys

from hybrid_sched.cmd.service import serve
from hybrid_sched.conf import quota
from hybrid_sched.quota.service import QuotaService


def main() -> int:
    """Run the engine until it is told to stop."""
    return serve("hybrid-sched-engine", QuotaService, quota, quota.sharing_rules)


if __name__ == "__main__":
    sys.exit(main())
