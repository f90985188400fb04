# SPDX-License-Identifier: Apache-2.0
"""Native threads for our own programs."""

from oslo_service import backend


def use_native_threads() -> None:
    """Keep eventlet out of the process; must run before oslo.messaging is imported, which loads it otherwise."""
    backend.init_backend(backend.BackendType.THREADING)
