# SPDX-License-Identifier: Apache-2.0
"""Our programs run on native threads, and so do their tests; this must be said before oslo's libraries choose."""

from hypothesis import HealthCheck, settings

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()
# How long an example takes tells of the machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
