# SPDX-License-Identifier: Apache-2.0
"""``application`` for web servers: ``hybrid_sched.wsgi.api:application``.

Configuration is read from where oslo.config looks for it (``/etc/hybrid-sched/hybrid-sched.conf`` and the folder
``hybrid-sched.conf.d`` beside it), or from the files that ``OS_HYBRID_SCHED_CONFIG_FILES`` names, with semicolons between.
"""

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from hybrid_sched.cmd.api import configured_application  # noqa: E402 - threads are chosen first

application = configured_application()
