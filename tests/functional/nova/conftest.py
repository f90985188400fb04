# SPDX-License-Identifier: Apache-2.0
"""Nova reads these when it is imported."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
os.environ["OS_WSGI__API_PASTE_CONFIG"] = str(Path(sys.prefix, "etc", "nova", "api-paste.ini"))


@pytest.fixture(autouse=True, scope="session")
def _executors_outlive_services() -> Iterator[None]:
    """Keep the executors of the process, which a service ends with itself.

    Nova's own fixture does so until a test is over, and waits for no service: one that ends later, on a busy machine, takes
    the executors from all tests after it.
    """
    from nova import thread_pool_factory  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thread_pool_factory, "shutdown_all_executors", lambda: None)
        yield


@pytest.fixture(autouse=True)
def _keep_pytests_logging_out(caplog: pytest.LogCaptureFixture) -> None:
    """Leave Nova's log records to Nova's own fixture."""
    caplog.set_level("CRITICAL")
