# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests_mock
from cloud import FilePlacement, PlacementCloud
from doctor_site import Site
from neighbours import DockerApi
from oslo_config import cfg

from hybrid_sched.cmd.manage.app import ManageApp
from hybrid_sched.doctor import gathering


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[PlacementCloud]:
    with FilePlacement(tmp_path) as placement:
        yield PlacementCloud(placement.endpoint)


@pytest.fixture
def site(
    cloud: PlacementCloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Site]:
    docker = DockerApi()
    with requests_mock.Mocker(real_http=True) as wire:
        made = Site(cloud, tmp_path, wire, docker, capsys)

        def ask(_app: ManageApp, method: str, **arguments: Any) -> Any:
            return json.loads(json.dumps(getattr(made.endpoint, method)({}, **arguments)))

        monkeypatch.setattr(ManageApp, "ask", ask)
        # What runs on the machine of the tests is not the cloud's.
        monkeypatch.setattr(gathering.programs, "installed_versions", dict)
        yield made
    docker.close()
    cfg.CONF.clear()
    cfg.CONF.reset()
