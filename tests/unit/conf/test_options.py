# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent, client, clients, opts, quota
from hybrid_sched.conf.quota import BadOption, sharing_rules
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.shares import SharePolicy

OPTIONS = [
    (group.name, option)
    for group, options in [*opts.list_opts(), *opts.list_client_opts()]
    for option in options
]
# keystoneauth1 offers them to every service and describes them itself.
THEIRS = {group.name for group in clients.GROUPS}
OURS = [(name, option) for name, option in OPTIONS if name not in THEIRS]


def test_every_group_is_listed_for_the_samples() -> None:
    assert {name for name, _ in OPTIONS} == {
        quota.GROUP.name,
        agent.GROUP.name,
        client.GROUP.name,
        *THEIRS,
    }


@pytest.mark.parametrize(
    ("group", "option"), OURS, ids=[f"{name}.{option.name}" for name, option in OURS]
)
def test_every_option_says_what_it_means(group: str, option: cfg.Opt) -> None:
    assert option.help is not None
    assert len(option.help.split()) > 5
    if isinstance(option, cfg.FloatOpt | cfg.IntOpt) and "multiplier" not in option.name:
        assert option.type.min is not None


def rules(**options: dict[str, str]) -> quota.SharingRules:
    conf = cfg.ConfigOpts()
    conf.register_opts(quota.OPTIONS, group=cfg.OptGroup("quota"))
    conf([], default_config_files=[])
    for name, value in options.items():
        conf.set_override(name, value, group="quota")
    return sharing_rules(conf)


def test_by_default_both_weigh_the_same_and_lend_all() -> None:
    assert rules().policies == (SharePolicy(HYPERVISOR, 1, 1), SharePolicy(CONTAINER, 1, 1))


def test_numbers_are_exact() -> None:
    read = rules(
        weights={HYPERVISOR: "3/4", CONTAINER: "0.1"},
        lending={CONTAINER: "0"},
        host_scores={"a": "0.5"},
    )
    assert read.policies == (
        SharePolicy(HYPERVISOR, Fraction(3, 4), 1),
        SharePolicy(CONTAINER, Fraction(1, 10), 0),
    )
    assert read.host_scores == {"a": Fraction(1, 2)}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("weights", {"pods": "1"}, "pods:1: unknown framework; use hypervisor or container"),
        ("weights", {CONTAINER: "0"}, "container:0: give a number of more than 0"),
        ("weights", {CONTAINER: "much"}, "container:much: "),
        ("lending", {CONTAINER: "1.5"}, "container:1.5: give a number of 0 or more and at most 1"),
        ("host_scores", {"a": "2"}, "a:2: give a number of more than 0 and at most 1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    option: str, value: dict[str, str], said: str
) -> None:
    with pytest.raises(BadOption) as refused:
        rules(**{option: value})
    assert str(refused.value).startswith(f"[quota] {option}: {said}")
