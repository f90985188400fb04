# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests_mock
from api_site import Site, add_tokens
from keystone_emulator import Keystone
from keystonemiddleware.fixture import AuthTokenFixture

from hybrid_sched.db import Database


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    with requests_mock.Mocker() as wire:
        yield Keystone(wire)


@pytest.fixture
def known_tokens(keystone: Keystone) -> Iterator[AuthTokenFixture]:
    with AuthTokenFixture() as known:
        add_tokens(known, keystone)
        yield known


@pytest.fixture
def site(database_url: str, database: Database, known_tokens: AuthTokenFixture) -> Site:
    return Site(database_url, database)
