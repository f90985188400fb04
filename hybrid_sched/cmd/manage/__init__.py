# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-manage``: see what the quota service knows and why it decided as it did."""

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from hybrid_sched.cmd.manage.app import main  # noqa: E402 - threads are chosen first

__all__ = ["main"]
