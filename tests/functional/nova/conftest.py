# SPDX-License-Identifier: Apache-2.0
"""Nova reads these when it is imported."""

import os
import sys
from pathlib import Path

import pytest

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
os.environ["OS_WSGI__API_PASTE_CONFIG"] = str(Path(sys.prefix, "etc", "nova", "api-paste.ini"))


@pytest.fixture(autouse=True)
def _keep_pytests_logging_out(caplog: pytest.LogCaptureFixture) -> None:
    """Leave Nova's log records to Nova's own fixture."""
    caplog.set_level("CRITICAL")
