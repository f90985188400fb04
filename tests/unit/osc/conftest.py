# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "api"))

from api_site import Site
from keystone import Keystone
from osc_shell import ACCOUNTS, OpenStack, served

from hybrid_sched.db import Database
from hybrid_sched.osc.client import SERVICE_TYPE

_OF_THE_API = (
    "hybrid_sched.api.application",
    "hybrid_sched.api.call",
    "keystonemiddleware.auth_token",
)


@pytest.fixture
def keystone() -> Keystone:
    return Keystone(ACCOUNTS)


@pytest.fixture
def auth_url(keystone: Keystone) -> Iterator[str]:
    with served(keystone) as url:
        yield f"{url}/v3"


@pytest.fixture
def openstack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], auth_url: str
) -> OpenStack:
    return OpenStack(monkeypatch, capsys, auth_url)


@pytest.fixture
def site(
    tmp_path: Path, keystone: Keystone, auth_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """Serve the API, and have Keystone's catalog tell of it."""
    # In production its log is another process's.
    for name in _OF_THE_API:
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    database = Database(url, sqlite_synchronous=False)
    database.sync()
    account = (
        f"auth_url = {auth_url}\nauth_type = password\nusername = service\npassword = service\n"
        "project_name = service\nuser_domain_name = Default\nproject_domain_name = Default\n"
    )
    tokens = tmp_path / "tokens.conf"
    tokens.write_text(
        f"[keystone_authtoken]\nwww_authenticate_uri = {auth_url}\n{account}[trustee]\n{account}"
    )
    made = Site(url, database, tokens)
    with served(made.application) as address:
        keystone.endpoints[SERVICE_TYPE] = address
        yield made
    database.close()
