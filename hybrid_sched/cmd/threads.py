# SPDX-License-Identifier: Apache-2.0
"""Native threads for our own programs."""

import warnings

from oslo_service import backend


def use_native_threads() -> None:
    """Let oslo's libraries use native threads; must run before oslo.messaging is imported, which chooses eventlet otherwise."""
    # Where eventlet is installed, for Zun, libraries import it to see if it is in use; users need not read of it.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    backend.init_backend(backend.BackendType.THREADING)
