# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-engine``: the quota service."""

import sys

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from hybrid_sched.cmd.service import serve  # noqa: E402
from hybrid_sched.conf import quota  # noqa: E402
from hybrid_sched.quota.service import QuotaService  # noqa: E402


def main() -> int:
    """Run the engine until it is told to stop."""
    return serve("hybrid-sched-engine", QuotaService, quota, quota.sharing_rules)


if __name__ == "__main__":
    sys.exit(main())
