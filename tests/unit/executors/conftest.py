# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests_mock

from hybrid_sched.clients import session as sessions


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests_mock.Mocker]:
    monkeypatch.setattr(sessions._patiently.retry, "sleep", lambda _: None)
    with requests_mock.Mocker(case_sensitive=True) as mocker:
        yield mocker
