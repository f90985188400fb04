# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from oslo_config import cfg

from hybrid_sched import loading
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.conf import queue as queue_options
from hybrid_sched.core.cluster import DEFAULT_POOL, Host, Pool, Snapshot
from hybrid_sched.core.pools import Aggregate
from hybrid_sched.core.resources import Resources
from hybrid_sched.queue.packers import PoolPackers

_ROOM = Resources(vcpu=1)
_SNAPSHOT = Snapshot(
    1,
    1,
    0.0,
    pools={name: Pool(name, _ROOM, {}) for name in (DEFAULT_POOL, "fast")},
    hosts={"h1": Host("h1", _ROOM), "h2": Host("h2", _ROOM, pool="fast")},
)


@pytest.fixture(autouse=True)
def _packers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packers of two names be installed."""

    def load(namespace: str, names: list[str]) -> list[tuple[str, object]]:
        loading.require(namespace, ["cross_fill"])
        if names[0] not in {"usual", "special"}:
            raise loading.PluginNotFound(f"there is no plug-in {names[0]!r} of {namespace}")
        return [(names[0], object())]

    monkeypatch.setattr(loading, "load", load)


def conf(packer: str = "usual") -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_group(cfg.OptGroup("queue"))
    made.register_opts(queue_options.OPTIONS, group="queue")
    made([], default_config_files=[])
    made.set_override("packer", packer, group="queue")
    return made


def names(packers: PoolPackers, now_s: float = 0.0) -> dict[str, str]:
    return {pool: packer.name for pool, packer in packers.of(_SNAPSHOT, now_s).items()}


def test_every_pool_has_the_packer_of_the_option_unless_an_aggregate_names_another() -> None:
    assert names(PoolPackers(conf(), None)) == {DEFAULT_POOL: "usual", "fast": "usual"}
    special = Aggregate("a", hosts=("h2", "unknown"), metadata={"hybrid_packer": "special"})
    packers = PoolPackers(conf(), lambda: (special, Aggregate("b", hosts=("h1",))))
    assert names(packers) == {DEFAULT_POOL: "usual", "fast": "special"}


def test_what_aggregates_name_wrongly_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    told = [
        Aggregate("b", hosts=("h2",), metadata={"hybrid_packer": "special"}),
        Aggregate("a", hosts=("h2",), metadata={"hybrid_packer": "nonsense"}),
    ]
    packers = PoolPackers(conf(), lambda: tuple(told))
    for _ in range(3):
        assert names(packers)["fast"] == "usual"
    assert caplog.text.count("several packers for pool 'fast' (nonsense, special)") == 1
    assert caplog.text.count("there is no plug-in 'nonsense'") == 1


def test_aggregates_that_cannot_be_read_stay_as_they_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: list[tuple[Aggregate, ...] | None] = [
        (Aggregate("a", hosts=("h1",), metadata={"hybrid_packer": "special"}),),
        None,
    ]

    def read() -> tuple[Aggregate, ...]:
        answer = answers.pop(0)
        if answer is None:
            raise ServiceFault("Nova is away")
        return answer

    packers = PoolPackers(conf(), read)
    assert names(packers)[DEFAULT_POOL] == "special"
    assert names(packers, 59.0)[DEFAULT_POOL] == "special"
    assert names(packers, 61.0)[DEFAULT_POOL] == "special"
    assert answers == []
    assert "stays as it was: Nova is away." in caplog.text


def test_an_option_that_names_no_packer_is_an_error() -> None:
    with pytest.raises(loading.PluginNotFound, match="nonsense"):
        names(PoolPackers(conf("nonsense"), None))
