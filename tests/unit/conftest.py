# SPDX-License-Identifier: Apache-2.0
"""Our programs run on native threads, and so do their tests; this must be said before oslo's libraries choose."""

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()
