# SPDX-License-Identifier: Apache-2.0
"""The API on a bus with an engine of the release before, in the midst of an upgrade."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oslo_messaging
import pytest
import webtest
from api_site import ADMIN
from oslo_config import cfg

from hybrid_sched.api.service import register, wsgi_application
from hybrid_sched.rpc import bus


class OldEngine:
    """Knows of no owners."""

    def __init__(self, version: str) -> None:
        self.target = oslo_messaging.Target(version=version)
        self.asked = 0

    def shares(self, _context: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked += 1
        return []


@pytest.fixture
def web(
    database_url: str, known_tokens: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[webtest.TestApp]:
    monkeypatch.setattr(bus, "EXCHANGE", str(uuid.uuid4()))
    file = tmp_path / "bus.conf"
    file.write_text(
        f"[DEFAULT]\ntransport_url = fake:/\n[database]\nconnection = {database_url}\n"
        "[keystone_authtoken]\nwww_authenticate_uri = http://keystone.example.org\n"
    )
    # oslo.messaging has options of its own in the process's.
    register(cfg.CONF)
    cfg.CONF(["--config-file", str(file)])
    yield webtest.TestApp(wsgi_application(cfg.CONF))
    cfg.CONF.reset()


@pytest.fixture(params=["1.0", bus.VERSION])
def engine(web: webtest.TestApp, request: pytest.FixtureRequest) -> Iterator[OldEngine]:
    endpoint = OldEngine(request.param)
    transport = bus.transport(cfg.CONF, "fake:/")
    server = bus.server(transport, bus.ENGINE_TOPIC, "test", endpoint)
    server.start()
    yield endpoint
    server.stop()


def test_an_engine_that_knows_no_owners_is_not_asked(
    web: webtest.TestApp, engine: OldEngine
) -> None:
    answer = web.get("/v1/frameworks", headers={"X-Auth-Token": ADMIN}, expect_errors=True)
    is_old = engine.target.version == "1.0"
    assert (answer.status_int, engine.asked) == ((503, 0) if is_old else (200, 1))
