# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.conf import (
    agent,
    api,
    client,
    clients,
    coordination,
    metrics,
    migration,
    opts,
    queue,
    quota,
    watchdog,
)
from hybrid_sched.conf.quota import BadOption, sharing_rules
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, ReserveMode
from hybrid_sched.core.ladder import LadderRules
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.shares import SharePolicy

GROUPS = {group.name: options for group, options in [*opts.list_opts(), *opts.list_client_opts()]}
#: Those of keystoneauth1 have words of their own.
THEIRS = {group.name for group in clients.GROUPS}
OPTIONS = [
    (name, option) for name, options in GROUPS.items() if name not in THEIRS for option in options
]


def test_every_group_is_listed_for_the_samples() -> None:
    ours = {
        module.GROUP.name
        for module in (quota, queue, watchdog, migration, coordination, metrics, agent, api, client)
    }
    assert GROUPS.keys() == ours | THEIRS


@pytest.mark.parametrize(
    ("group", "option"), OPTIONS, ids=[f"{name}.{option.name}" for name, option in OPTIONS]
)
def test_every_option_says_what_it_means(group: str, option: cfg.Opt) -> None:
    assert option.help is not None
    assert len(option.help.split()) > 5
    if isinstance(option, cfg.FloatOpt | cfg.IntOpt) and "multiplier" not in option.name:
        assert option.default is not None
        assert option.type.min is not None


@pytest.mark.parametrize("module", [quota, migration, coordination, metrics, agent, api, client])
def test_registering_twice_does_no_harm(module: Any) -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        module.register(conf)
    conf([], default_config_files=[])
    for option in module.OPTIONS:
        conf[module.GROUP.name][option.name]


def test_by_default_nothing_listens_and_one_machine_needs_no_server() -> None:
    conf = cfg.ConfigOpts()
    for module in (metrics, coordination):
        module.register(conf)
    conf([], default_config_files=[])
    assert (conf.metrics.enabled, conf.metrics.address) == (False, "127.0.0.1")
    assert conf.coordination.backend_url.startswith("file:///")


def test_a_plug_in_waits_for_a_standby_to_follow_only_where_it_must() -> None:
    conf = cfg.ConfigOpts()
    client.register(conf)
    conf([], default_config_files=[])
    patience = (
        conf.hybrid_sched.reservation_timeout_s,
        conf.hybrid_sched.strict_reservation_timeout_s,
    )
    assert patience == (0.05, 15.0)
    assert "reservations" not in conf.hybrid_sched


def rules(**options: Any) -> quota.SharingRules:
    conf = cfg.ConfigOpts()
    conf.register_opts(quota.OPTIONS, group=cfg.OptGroup("quota"))
    conf([], default_config_files=[])
    for name, value in options.items():
        conf.set_override(name, value, group="quota")
    return sharing_rules(conf)


def test_by_default_both_weigh_the_same_and_lend_all() -> None:
    assert rules().policies == (SharePolicy(HYPERVISOR, 1, 1), SharePolicy(CONTAINER, 1, 1))


def test_by_default_nothing_is_reserved_and_the_ladder_is_slow() -> None:
    read = rules()
    assert (read.reserve, read.default_score, read.host_scores) == (ReserveMode.NONE, 1, {})
    assert read.ladder == LadderRules(60, 300, Fraction(1, 10))


@pytest.mark.parametrize("mode", list(ReserveMode))
def test_each_mode_can_be_chosen(mode: ReserveMode) -> None:
    assert rules(reserve=mode.value).reserve is mode


def test_another_mode_cannot() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        rules(reserve="sometimes")


def test_weights_that_were_set_replace_those_of_the_options() -> None:
    read = rules(weights={HYPERVISOR: "2"}, lending={HYPERVISOR: "0"})
    assert read.with_weights({CONTAINER: 5, "pods": 9}) == (
        SharePolicy(HYPERVISOR, 2, 0),
        SharePolicy(CONTAINER, 5, 1),
    )
    assert read.with_weights({}) == read.policies


def test_numbers_are_exact() -> None:
    read = rules(
        weights={HYPERVISOR: "3/4", CONTAINER: "0.1"},
        lending={CONTAINER: "0"},
        host_scores={"a": "0.5"},
        default_score="0.75",
        least_squeeze="1",
    )
    assert read.policies == (
        SharePolicy(HYPERVISOR, Fraction(3, 4), 1),
        SharePolicy(CONTAINER, Fraction(1, 10), 0),
    )
    assert read.host_scores == {"a": Fraction(1, 2)}
    assert (read.default_score, read.ladder.least_squeeze) == (Fraction(3, 4), 1)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("weights", {"pods": "1"}, "pods:1: unknown framework; use hypervisor or container"),
        ("weights", {CONTAINER: "0"}, "container:0: give a number of more than 0"),
        ("weights", {CONTAINER: "much"}, "container:much: "),
        ("lending", {CONTAINER: "1.5"}, "container:1.5: give a number of 0 or more and at most 1"),
        ("default_score", "0", "0: give a number of more than 0 and at most 1"),
        ("default_score", "good", "good: "),
        ("least_squeeze", "0", "0: give a number of more than 0 and at most 1"),
        ("least_squeeze", "2", "2: give a number of more than 0 and at most 1"),
        ("host_scores", {"a": "2"}, "a:2: give a number of more than 0 and at most 1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(option: str, value: object, said: str) -> None:
    with pytest.raises(BadOption) as refused:
        rules(**{option: value})
    assert str(refused.value).startswith(f"[quota] {option}: {said}")


def watchdog_conf(**options: Any) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf.register_opts(watchdog.OPTIONS, group=cfg.OptGroup("watchdog"))
    conf([], default_config_files=[])
    for name, value in options.items():
        conf.set_override(name, value, group="watchdog")
    return conf


def test_the_watchdog_does_nothing_by_default_and_its_parameters_are_those_of_the_policy() -> None:
    conf = watchdog_conf()
    assert conf.watchdog.mode == "off"
    assert watchdog.parameters(conf) == Parameters()
    part = watchdog.parameters(watchdog_conf(limits={"memory_mb": "0.95"}))
    assert part.limits == (0.8, 0.95, *Parameters().limits[2:])


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"limits": {"cpu": "0.5"}}, r"\[watchdog\] limits: 'cpu' is unknown: give some of vcpu"),
        ({"targets": {"vcpu": "much"}}, r"\[watchdog\] targets: 'much' of vcpu is not a number"),
        ({"targets": {"vcpu": "0.9"}}, r"\[watchdog\] targets: 0.9 of vcpu is not below its limit"),
        ({"over_periods": 9}, r"\[watchdog\] over_periods: 9 must be from 1 to of_periods"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadOption, match=fault):
        watchdog.parameters(watchdog_conf(**options))


def test_an_executor_of_an_unknown_framework_is_named() -> None:
    with pytest.raises(BadOption, match=r"\[watchdog\] executors: 'vm' is unknown: give hypervis"):
        watchdog.executors(watchdog_conf(executors={"vm": "nova_live"}))
