# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests_mock
from keystoneauth1 import adapter, session, token_endpoint

from hybrid_sched.clients import nova, placement, zun
from hybrid_sched.clients import session as sessions


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def pauses_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the pauses between attempts, which then take no time."""
    pauses: list[float] = []
    monkeypatch.setattr(sessions._patiently.retry, "sleep", pauses.append)
    return pauses


def service(name: str, microversion: str) -> adapter.Adapter:
    auth = token_endpoint.Token(f"http://{name}", "token")
    return adapter.Adapter(
        session.Session(auth=auth), service_type=name, default_microversion=microversion
    )


@pytest.fixture
def placement_client() -> placement.PlacementClient:
    return placement.PlacementClient(service("placement", placement.MICROVERSION))


@pytest.fixture
def nova_client() -> nova.NovaClient:
    return nova.NovaClient(service("compute", nova.MICROVERSION))


@pytest.fixture
def zun_client() -> zun.ZunClient:
    return zun.ZunClient(service("container", zun.MICROVERSION))
