# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-manage``: see what the quota service knows and why it decided as it did."""

from hybrid_sched.cmd.manage.app import main

__all__ = ["main"]
