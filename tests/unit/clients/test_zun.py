# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests_mock
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.clients.zun import NO_HOST, ZunClient
from hybrid_sched.clients.zun import zun_client as make_zun_client
from hybrid_sched.cmd import engine
from hybrid_sched.conf import clients, quota
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request

CONTAINERS = "http://container/containers/"
#: 2026-10-19 12:00:00 UTC, and a part of a second.
SINCE_S = 1792411200.7


def container(uuid: str = "c", **changes: Any) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "status": "Error",
        "status_reason": NO_HOST,
        "host": None,
        "cpu": 1.5,
        "memory": "256",
        "updated_at": "2026-10-19 12:00:00",
        **changes,
    }


def conf(**options: str) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    clients.register(made)
    made.register_opts(quota.OPTIONS, group=cfg.OptGroup("quota"))
    made([], default_config_files=[])
    for name, value in options.items():
        made.set_override(name, value, group="zun")
    return made


def test_without_authentication_there_is_no_client() -> None:
    assert make_zun_client(conf()) is None


def test_bad_options_end_the_start_of_the_engine() -> None:
    with pytest.raises(BadClientOption, match=r"^\[zun\]: .*auth_url"):
        engine.check(conf(auth_type="password"))


def test_containers_that_found_no_host_are_read(
    wire: requests_mock.Mocker, zun_client: ZunClient
) -> None:
    wire.get(CONTAINERS, json={"containers": [container()], "next": None})
    demand = Resources(vcpu=2, memory_mb=256)
    assert zun_client.refused_containers(SINCE_S) == (Request("c", CONTAINER, demand),)
    (asked,) = wire.request_history
    assert asked.qs == {
        "all_projects": ["true"],
        "status": ["error"],
        "sort_key": ["updated_at"],
        "sort_dir": ["desc"],
        "limit": ["1000"],
    }
    assert asked.headers["OpenStack-API-Version"] == "container 1.1"


@pytest.mark.parametrize(
    ("asked", "vcpu", "memory_mb"),
    [
        ({"cpu": None, "memory": None}, 1, 512),
        ({"cpu": 0.0, "memory": "None"}, 1, 512),
        ({"cpu": 0.1, "memory": "0"}, 1, 1),
        ({"cpu": 2, "memory": "4"}, 2, 4),
    ],
)
def test_amounts_are_those_that_zun_claims(
    wire: requests_mock.Mocker,
    zun_client: ZunClient,
    asked: dict[str, Any],
    vcpu: int,
    memory_mb: int,
) -> None:
    wire.get(CONTAINERS, json={"containers": [container(**asked)]})
    (found,) = zun_client.refused_containers(SINCE_S)
    assert found.demand == Resources(vcpu=vcpu, memory_mb=memory_mb)


@pytest.mark.parametrize(
    "change",
    [
        {"status_reason": "Unexpected exception occurred."},
        {"status_reason": None},
        {"host": "one"},
        {"updated_at": "2026-10-19 11:59:59"},
    ],
    ids=["another reason", "no reason", "with a host", "refused before"],
)
def test_other_containers_are_left_out(
    wire: requests_mock.Mocker, zun_client: ZunClient, change: dict[str, Any]
) -> None:
    wire.get(CONTAINERS, json={"containers": [container(**change, cpu="much")]})
    assert zun_client.refused_containers(SINCE_S) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"uuid": None}, "containers[0].uuid: None is not a string"),
        ({"cpu": "1"}, "containers[0].cpu: '1' is not a number"),
        ({"memory": 512}, "containers[0].memory: 512 is not a string"),
        ({"memory": "512m"}, "containers[0].memory: '512m' is not a whole number of MiB"),
        ({"memory": "9" * 30}, f"containers[0].memory: '{'9' * 30}' is not a whole number of MiB"),
        ({"updated_at": None}, "containers[0].updated_at: None is not a string"),
        (
            {"updated_at": "noon"},
            "containers[0].updated_at: 'noon' is no date and time of ISO 8601",
        ),
    ],
)
def test_a_container_that_cannot_be_used_is_refused(
    wire: requests_mock.Mocker, zun_client: ZunClient, change: dict[str, Any], said: str
) -> None:
    wire.get(CONTAINERS, json={"containers": [container(**change)]})
    with pytest.raises(ServiceFault) as raised:
        zun_client.refused_containers(SINCE_S)
    assert f"the answer cannot be used: {said}" in str(raised.value)


def test_what_labels_declare_is_wanted_too_and_nothing_of_those_that_cannot_be_read(
    wire: requests_mock.Mocker, zun_client: ZunClient
) -> None:
    good = container("good", labels={"hybrid:net_out_bps": "1kB/s", "app": "web"})
    bad = container("bad", labels={"hybrid:net_out_bps": "x"})
    wire.get(CONTAINERS, json={"containers": [good, bad]})
    (request,) = zun_client.refused_containers(SINCE_S)
    assert (request.uuid, request.demand) == ("good", Resources(2, 256, net_out_bps=1000))
