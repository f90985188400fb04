# SPDX-License-Identifier: Apache-2.0
"""Schemathesis on the served document: whatever is sent, and by whomever, nothing fails and every answer is documented.

``HYBRID_API_FUZZ_CASES`` says how many requests are sent in all; ``make test-api-fuzz`` sends ten thousand.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests_mock
import schemathesis
from api_site import (
    ADMIN,
    BIG,
    MANAGER,
    MEMBER,
    OTHER,
    READER,
    STRANGER,
    SYSTEM_READER,
    Site,
    record_shares,
)
from api_site import add_tokens as add
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keystone_emulator import Keystone
from keystonemiddleware.fixture import AuthTokenFixture
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from hybrid_sched.api.microversions import HEADER
from hybrid_sched.api.route import SERVICE_TYPE
from hybrid_sched.api.routes import ROUTES
from hybrid_sched.db import Database

_CASES = int(os.environ.get("HYBRID_API_FUZZ_CASES", "620"))
# Of a request with a header alone nothing can be wrong; schemathesis leaves out the document that it has read.
_RUNS = [
    *(
        (route.operation, GenerationMode.POSITIVE)
        for route in ROUTES
        if route.operation != "show_openapi"
    ),
    *(
        (route.operation, GenerationMode.NEGATIVE)
        for route in ROUTES
        if route.query or route.body or route.path_schemas
    ),
]
_EACH = -(-_CASES // len(_RUNS))
_TOKENS = (ADMIN, MANAGER, MEMBER, SYSTEM_READER, READER, OTHER, STRANGER, "forged", None)
# Those that members of a project may ask.
_OF_MEMBERS = ("list_tasks", "create_tasks", "show_task", "cancel_task", "show_decision", "explain")
_PROTECTED = {route.operation for route in ROUTES if route.policy}
load_all_checks()
_CHECKS = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]


class Fuzzed:
    """One site for all cases, so that they meet what those before them have left."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", site.application)
        self.operations = {
            found.ok().definition.raw["operationId"]: found.ok()
            for found in self.schema.get_all_operations()
        }
        self.sent: Counter[int] = Counter()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    url = f"sqlite:///{folder / 'test.sqlite'}"
    database = Database(url, sqlite_synchronous=False)
    database.sync()
    with requests_mock.Mocker() as wire, AuthTokenFixture() as known:
        add(known, Keystone(wire))
        site = Site(url, database)
        [row] = site.submit("db")
        site.engine.launched(row["uuid"], BIG)
        site.engine.decided(BIG)
        record_shares(site)
        made = Fuzzed(site)
        yield made
    database.close()
    sys.stdout.write(f"\n{made.sent.total()} requests: {dict(sorted(made.sent.items()))}\n")


@pytest.mark.parametrize(
    ("operation", "mode"), _RUNS, ids=lambda value: getattr(value, "value", value)
)
def test_whatever_is_sent_is_answered_as_documented(
    fuzzed: Fuzzed, operation: str, mode: GenerationMode
) -> None:
    about = fuzzed.operations[operation]
    known = _known(fuzzed.site, about.path)

    @settings(
        max_examples=_EACH,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=about.as_strategy(generation_mode=mode),
        token=st.just(MEMBER if operation in _OF_MEMBERS else ADMIN) | st.sampled_from(_TOKENS),
        name=st.none() | st.sampled_from(known),
        newest=st.booleans(),
    )
    def send(case: Any, token: str | None, name: str | None, *, newest: bool) -> None:
        for parameter in case.path_parameters or {}:
            if name is not None:
                case.path_parameters[parameter] = name
        if operation == "create_tasks" and mode is GenerationMode.POSITIVE and name is not None:
            case.body = _usable(case.body)
        headers = dict(case.headers or {})
        headers.pop("X-Auth-Token", None)
        case.headers = headers
        if newest:
            headers[HEADER] = f"{SERVICE_TYPE} latest"
        if token is not None:
            headers["X-Auth-Token"] = token
        answer = case.call()
        fuzzed.sent[answer.status_code] += 1
        case.validate_response(answer, checks=_CHECKS)
        if operation in _PROTECTED and token in {None, "forged"}:
            assert answer.status_code in {401, 404, 413}

    send()


def _usable(body: dict[str, Any]) -> dict[str, Any]:
    """Give tasks names, and take out what only a real cloud or another task could make right."""
    left_out = {"server", "after", "deadline", "priority", "duration", "stop_after"}
    entries = [
        {
            **{name: value for name, value in entry.items() if name not in left_out},
            "name": f"task{index}",
            "count": 1,
            "container": {"image": "busybox"},
        }
        for index, entry in enumerate(body["tasks"])
    ]
    return {**body, "tasks": entries}


def _known(site: Site, path: str) -> list[str]:
    """Give names that are there, for the parameter of a path."""
    if "frameworks" in path:
        return ["container", "hypervisor"]
    if "strategies" in path:
        return ["relieve", "balance"]
    if "hosts" in path:
        return ["a", "b"]
    tasks = site.get("/v1/tasks", MEMBER)["tasks"]
    return [BIG, "big", tasks[0]["uuid"]]
