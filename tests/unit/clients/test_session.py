# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock
from keystoneauth1 import adapter, fixture, session
from keystoneauth1.identity import v3
from oslo_config import cfg

from hybrid_sched.clients.nova import nova_client as make_nova_client
from hybrid_sched.clients.placement import PlacementClient
from hybrid_sched.clients.placement import placement_client as make_placement_client
from hybrid_sched.clients.session import ServiceFault, adapter_of
from hybrid_sched.conf import clients as options
from hybrid_sched.conf.clients import BadClientOption

PROVIDERS = "http://placement/resource_providers"


def conf(**groups: dict[str, Any]) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    options.register(made)
    made([], default_config_files=[])
    for group, values in groups.items():
        for name, value in values.items():
            made.set_override(name, value, group=group)
    return made


def test_without_authentication_there_is_no_client() -> None:
    assert make_placement_client(conf()) is None
    assert make_nova_client(conf()) is None


def test_each_call_has_a_time_limit_and_the_microversion(wire: requests_mock.Mocker) -> None:
    wire.get(PROVIDERS, json={"resource_providers": []})
    made = conf(placement={"auth_type": "none", "endpoint_override": "http://placement"})
    client = make_placement_client(made)
    assert client is not None
    assert client.providers() == ()
    (asked,) = wire.request_history
    assert asked.headers["OpenStack-API-Version"] == "placement 1.38"
    assert asked.timeout == 10


def test_nova_may_use_the_authentication_of_placement(wire: requests_mock.Mocker) -> None:
    wire.get("http://nova/os-aggregates", json={"aggregates": []})
    made = conf(
        placement={"auth_type": "none"},
        nova={"auth_section": "placement", "endpoint_override": "http://nova"},
    )
    client = make_nova_client(made)
    assert client is not None
    assert client.aggregates() == ()
    assert wire.request_history[0].headers["OpenStack-API-Version"] == "compute 2.61"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"auth_type": "pasword"}, "pasword"),
        ({"auth_type": "password"}, "not given: auth_url"),
        ({"auth_type": "none", "valid_interfaces": ["inside"]}, "inside"),
    ],
)
def test_options_that_cannot_be_used_are_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadClientOption) as refused:
        adapter_of(conf(placement=values), "placement", "1.38")
    assert str(refused.value).startswith("[placement]: ")
    assert said in str(refused.value)


def test_samples_show_how_to_authenticate() -> None:
    names = {option.dest for option in options.sample_options(options.PLACEMENT)}
    assert names > {"auth_type", "auth_url", "username", "password", "timeout", "region_name"}


def test_a_busy_service_is_asked_again_and_not_when_it_likes(
    wire: requests_mock.Mocker, placement_client: PlacementClient, pauses_s: list[float]
) -> None:
    wire.get(
        PROVIDERS,
        [
            {"status_code": 503, "headers": {"Retry-After": "3600"}},
            {"status_code": 502},
            {"json": {"resource_providers": []}},
        ],
    )
    assert placement_client.providers() == ()
    assert len(pauses_s) == 2
    assert max(pauses_s) <= 1


def test_a_service_that_stays_busy_is_given_up(
    wire: requests_mock.Mocker, placement_client: PlacementClient, pauses_s: list[float]
) -> None:
    wire.get(PROVIDERS, status_code=503)
    with pytest.raises(ServiceFault, match=r"GET /resource_providers of placement: .*503"):
        placement_client.providers()
    assert len(wire.request_history) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_which_role_is_needed(
    wire: requests_mock.Mocker, placement_client: PlacementClient, status: int
) -> None:
    wire.get(PROVIDERS, status_code=status)
    with pytest.raises(ServiceFault) as refused:
        placement_client.providers()
    assert str(refused.value).startswith(
        f"GET /resource_providers of placement was refused ({status}): it needs the role service or admin; it says: "
    )
    assert f"(HTTP {status})" in str(refused.value)
    assert len(wire.request_history) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"exc": requests.exceptions.ConnectTimeout},
        {"exc": requests.exceptions.ConnectionError("nobody listens")},
        {"status_code": 500, "text": "<html>oops</html>"},
        {"status_code": 406},
        {"text": "no JSON"},
        {"text": "[]"},
        {"content": b"\xff\xfe"},
    ],
)
def test_whatever_fails_is_a_sentence(
    wire: requests_mock.Mocker, placement_client: PlacementClient, answer: dict[str, Any]
) -> None:
    wire.get(PROVIDERS, **answer)
    with pytest.raises(ServiceFault, match=r"GET /resource_providers of placement: .+") as fault:
        placement_client.providers()
    assert "\n" not in str(fault.value)


def test_a_service_that_is_registered_later_is_found(wire: requests_mock.Mocker) -> None:
    keystone = "http://keystone/v3"
    early, late = (fixture.V3Token(user_id="u", project_id="p") for _ in range(2))
    late.add_service("placement").add_standard_endpoints(internal="http://placement")
    wire.get(keystone, json={"version": fixture.V3Discovery(keystone)})
    wire.post(
        f"{keystone}/auth/tokens",
        [{"json": token, "headers": {"X-Subject-Token": "t"}} for token in (early, late)],
    )
    wire.get(PROVIDERS, json={"resource_providers": []})
    wire.get("http://placement", status_code=404)
    auth = v3.Password(keystone, username="u", password="p", user_domain_id="d", project_id="p")
    client = PlacementClient(
        adapter.Adapter(session.Session(auth=auth), "placement", interface="internal")
    )
    with pytest.raises(ServiceFault, match="catalog"):
        client.providers()
    assert client.providers() == ()
