# SPDX-License-Identifier: Apache-2.0
"""What holds for every request: versions, errors, sizes, health, and an engine that is away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import webtest
from api_site import ADMIN, MEMBER, Site
from openapi_spec_validator import validate

from hybrid_sched.api.openapi import document
from hybrid_sched.api.routes import ROUTES
from hybrid_sched.conf.api import LARGEST_BODY
from hybrid_sched.db import DatabaseError


def test_the_versions_and_the_document_are_told_to_everybody(site: Site) -> None:
    [version] = site.get("/", None)["versions"]
    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")
    assert (version["min_version"], version["max_version"]) == ("1.0", "1.1")
    assert version["links"][0] == {"rel": "self", "href": "http://localhost/v1"}
    assert site.get("/v1", None)["version"] == version
    served = site.get("/v1/openapi.json", None)
    validate(served)
    assert served["servers"] == [{"url": "http://localhost"}]
    assert {
        (path, method.upper()) for path, item in served["paths"].items() for method in item
    } == {(route.path, route.method) for route in ROUTES}


def test_the_version_that_is_asked_for_is_the_answers(site: Site) -> None:
    for wanted, given in (
        ("hybrid-scheduling 1.0", "1.0"),
        ("hybrid-scheduling 1.1", "1.1"),
        ("hybrid-scheduling latest", "1.1"),
        ("compute 2.99", "1.0"),
    ):
        answer = site.send("GET", "/v1/hosts", headers={"OpenStack-API-Version": wanted})
        assert answer.status_int == 200
        assert answer.headers["OpenStack-API-Version"] == f"hybrid-scheduling {given}"
        assert "OpenStack-API-Version" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("wanted", "status"), [("1.2", 406), ("0.9", 406), ("2.0", 406), ("one", 400), ("1", 400)]
)
def test_a_version_that_is_not_served_is_refused(site: Site, wanted: str, status: int) -> None:
    headers = {"OpenStack-API-Version": f"hybrid-scheduling {wanted}"}
    [error] = site.ask("GET", "/v1/hosts", status=status, headers=headers)["errors"]
    assert error["detail"].startswith("OpenStack-API-Version: ")


def test_an_error_has_the_form_of_the_api_special_interest_group(site: Site) -> None:
    answer = site.send("GET", "/v1/hosts?limit=0")
    [error] = answer.json["errors"]
    assert error.pop("request_id") == answer.headers["x-openstack-request-id"]
    assert error == {
        "status": 400,
        "title": "Bad Request",
        "detail": "limit: 0 is less than the minimum of 1: see /v1/openapi.json for what is taken.",
        "code": "hybrid-scheduling.query.invalid",
    }


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "limit=1&limit=2",
        "limit=1001",
        "limit=99999999999999999999",
        "nonsense=1",
        "sort_key=tasks",
        "fresh=perhaps",
        "marker=",
    ],
)
def test_a_query_that_cannot_be_used_is_refused(site: Site, query: str) -> None:
    site.get(f"/v1/hosts?{query}", status=400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "has no body"),
        (b"{", "cannot be read as JSON"),
        (b"\xff", "cannot be read as JSON"),
        (b'{"weight": NaN}', "NaN is no number of JSON"),
        (b'{"weight": 1, "weight": 2}', "'weight' is there twice"),
        (b'{"weight": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
        (b'{"pool": "\\ud800", "weight": 1}', "cannot be read as JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "is not of type 'object'"),
        (b'{"weight": 1, "colour": "red"}', "colour"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused(site: Site, body: bytes, said: str) -> None:
    answer = site.web.put(
        "/v1/frameworks/container/weight",
        body,
        {"X-Auth-Token": ADMIN, "Content-Type": "application/json"},
        expect_errors=True,
    )
    assert answer.status_int == 400
    assert said in answer.json["errors"][0]["detail"]
    assert site.engine.asked == []


def test_another_form_of_body_is_refused(site: Site) -> None:
    headers = {"X-Auth-Token": ADMIN, "Content-Type": "text/yaml"}
    answer = site.web.put("/v1/scores", b"{}", headers, expect_errors=True)
    assert answer.status_int == 415


@pytest.mark.parametrize("tells_its_length", [True, False])
def test_a_body_that_is_too_large_is_refused(site: Site, *, tells_its_length: bool) -> None:
    request = webtest.TestRequest.blank("/v1/scores", method="PUT", body=b" " * (LARGEST_BODY + 1))
    request.headers.update({"X-Auth-Token": ADMIN, "Content-Type": "application/json"})
    if not tells_its_length:
        request.headers["Transfer-Encoding"] = "chunked"
        request.environ["wsgi.input_terminated"] = True
        request.content_length = None
    answer = request.get_response(site.application)
    assert answer.status_int == 413
    assert json.loads(answer.body)["errors"][0]["status"] == 413


def test_an_unknown_address_or_method_is_refused(site: Site) -> None:
    assert site.send("GET", "/v2").status_int == 404
    assert site.send("GET", "/v1/hosts/a/b/c").json["errors"][0]["title"] == "Not Found"
    answer = site.send("DELETE", "/v1/scores/x")
    assert answer.status_int == 404
    answer = site.send("PUT", "/v1/hosts", json={})
    assert answer.status_int == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_health_is_told_to_everybody(site: Site) -> None:
    answer = site.web.get("/healthcheck")
    assert answer.status_int == 200


def test_an_engine_that_is_away_is_told_with_when_to_ask_again(
    database_url: str, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = tmp_path / "slow.conf"
    options.write_text("[api]\nretry_after_s = 7\n")
    site = Site(database_url, site.database, options)
    site.engine.down = True
    answer = site.send("GET", "/v1/tasks", MEMBER)
    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "7")
    assert "ask again in 7 s" in answer.json["errors"][0]["detail"]
    # What the broker is called is for the log alone.
    assert "secret" not in answer.text
    assert "secret.example.org" in caplog.text
    # Scores are in the database.
    site.get("/v1/scores")


def test_a_database_that_is_away_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseError("The database secret.example.org does not answer.")

    monkeypatch.setattr("hybrid_sched.db.scores.ScoreStore.all", fail)
    answer = site.send("GET", "/v1/scores")
    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")
    assert "secret" not in answer.text


def test_a_fault_of_ours_shows_nobody_a_traceback(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site.engine, "ask", lambda *_: {}["lost"])
    answer = site.send("GET", "/v1/hosts")
    [error] = answer.json["errors"]
    assert (answer.status_int, error["code"]) == (500, "hybrid-scheduling.internal")
    assert "Traceback" not in answer.text
    assert "KeyError: 'lost'" in caplog.text


def test_browsers_of_other_origins_are_let_in_where_the_operator_says_so(
    database_url: str, site: Site, tmp_path: Path
) -> None:
    origin = {"Origin": "https://dashboard.example.org", "Access-Control-Request-Method": "PUT"}
    answer = site.web.options("/v1/scores", headers=origin, expect_errors=True)
    assert "Access-Control-Allow-Origin" not in answer.headers
    options = tmp_path / "cors.conf"
    options.write_text("[cors]\nallowed_origin = https://dashboard.example.org\n")
    open_site = Site(database_url, site.database, options)
    answer = open_site.web.options("/v1/scores", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://dashboard.example.org"
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]


def test_links_name_the_address_that_the_proxy_tells(
    database_url: str, site: Site, tmp_path: Path
) -> None:
    options = tmp_path / "proxy.conf"
    options.write_text("[oslo_middleware]\nenable_proxy_headers_parsing = true\n")
    behind = Site(database_url, site.database, options)
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example.org"}
    answer = behind.web.get("/", headers=told)
    assert answer.json["versions"][0]["links"][0]["href"] == "https://cloud.example.org/v1"


def test_the_document_needs_no_server() -> None:
    validate(document("/"))
