# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from engines import Site
from oslo_config import cfg
from values import Clock, decision

from hybrid_sched.clients.nova import Migration
from hybrid_sched.clients.placement import Provider
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, Arrival
from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.core.pools import Aggregate
from hybrid_sched.core.rebalancing.moves import Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.readings import NO_USE
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import Database
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.schema import FRAMEWORK_WEIGHTS, HARDWARE_SCORES
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.quota import live_inputs
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.quota.live_inputs import LiveInputs

FAST = Aggregate("ssd", hosts=("b",), metadata={"hybrid_sched:pool": "fast"})
SLOW = Aggregate("tape", "west", hosts=("a", "b"), metadata={"hybrid_sched:pool": "slow"})


class EmulatedPlacement:
    """Placement with two hosts, and what a test says that is claimed of them."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, dict[str, int]]] = {"a": {}, "b": {}}
        self.generation = 1
        self.fails = False

    def providers(self) -> tuple[Provider, ...]:
        if self.fails:
            raise ServiceFault("Placement is away")
        return tuple(Provider(name, name, self.generation, name) for name in self.held)

    def allocations(self, provider: str) -> dict[str, dict[str, int]] | None:
        return self.held.get(provider)

    def consumer_type(self, _uuid: str) -> str | None:
        return None

    def claim(self, host: str, **claims_mb: int) -> None:
        self.held[host] = {uuid: {"MEMORY_MB": amount} for uuid, amount in claims_mb.items()}
        self.generation += 1


class EmulatedNova:
    """Nova with the aggregates that a test makes, and no guest on its way."""

    def __init__(self) -> None:
        self.of: tuple[Aggregate, ...] = ()
        self.fails = False
        self.asked = 0

    def aggregates(self) -> tuple[Aggregate, ...]:
        self.asked += 1
        if self.fails:
            raise ServiceFault("Nova is away")
        return self.of

    def migrations_in_progress(self) -> tuple[Migration, ...]:
        return ()

    def refused_guests(self, _since_s: float) -> tuple[Request, ...]:
        return ()


class Place:
    """All that the inputs are read from."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.clock = Clock()
        self.site = Site()
        self.placement: EmulatedPlacement | None = EmulatedPlacement()
        self.nova: EmulatedNova | None = EmulatedNova()
        monkeypatch.setattr(live_inputs, "placement_client", lambda _conf: self.placement)
        monkeypatch.setattr(live_inputs, "nova_client", lambda _conf: self.nova)
        monkeypatch.setattr(live_inputs, "zun_client", lambda _conf: None)

    def inputs(self, pools_from: str = "none") -> LiveInputs:
        self.site.set(pools_from=pools_from)
        conf: cfg.ConfigOpts = self.site.conf
        return LiveInputs(conf, self.database, self.site.engine, now_s=self.clock)

    def damage(self, table: Any, **value: str) -> None:
        self.database.write(lambda connection: connection.execute(table.update().values(**value)))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    database.sync()
    yield Place(database, monkeypatch)
    database.close()


def placement(place: Place) -> EmulatedPlacement:
    assert place.placement is not None
    return place.placement


def nova(place: Place) -> EmulatedNova:
    assert place.nova is not None
    return place.nova


def test_without_services_there_are_weights_and_scores_alone(place: Place) -> None:
    place.placement = place.nova = None
    WeightStore(place.database).set("fast", CONTAINER, Fraction(3, 2))
    ScoreStore(place.database).set("Old*", "*", Fraction(1, 2))
    assert place.inputs().read() == CycleInputs(
        weights={"fast": {CONTAINER: Fraction(3, 2)}},
        score_rows=(ScoreRow("Old*", "*", Fraction(1, 2)),),
    )


def test_claims_come_with_the_hosts_on_which_they_changed(place: Place) -> None:
    place.site.engine.take_decision(decision("t"))
    placement(place).claim("a", t=10, stranger=5)
    inputs = place.inputs()
    read = inputs.read()
    assert read.known_hosts == {"a", "b"}
    assert read.claims_changed == {"a", "b"}
    assert read.claims_of is not None
    claims = {
        uuid: (each.framework, each.demand, each.counts_for_share)
        for uuid, each in read.claims_of("a").items()
    }
    assert claims == {
        "t": (CONTAINER, Resources(memory_mb=10), True),
        "stranger": (None, Resources(memory_mb=5), False),
    }
    assert inputs.read().claims_changed == frozenset()
    placement(place).claim("b", u=1)
    assert inputs.read().claims_changed == {"b"}


def test_claims_that_their_agent_does_not_see_are_read_again(place: Place) -> None:
    placement(place).claim("a", t=10)
    inputs = place.inputs()
    place.site.report("a")
    place.site.engine.run_cycle(inputs.read())
    assert place.site.engine.doubted_hosts() == {"a"}
    # Placement tells of no deleted claim.
    placement(place).held["a"] = {}
    assert inputs.read().claims_changed == {"a"}


def test_while_placement_is_away_its_claims_stay_and_it_is_said_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    placement(place).fails = True
    inputs = place.inputs()
    for _ in range(2):
        read = inputs.read()
        # Nothing is known, so that nobody is refused for it.
        assert (read.claims_of, read.known_hosts, read.claims_changed) == (None, None, frozenset())
    placement(place).fails = False
    placement(place).claim("a", t=10)
    assert inputs.read().claims_changed == {"a", "b"}
    placement(place).fails = True
    for _ in range(2):
        read = inputs.read()
        assert (read.known_hosts, read.claims_changed) == ({"a", "b"}, frozenset())
        assert read.claims_of is not None
        assert set(read.claims_of("a")) == {"t"}
    said = "Placement: what was known before is used: claims stay as they were: Placement is away"
    assert caplog.text.count(said) == 2
    assert caplog.text.count("Placement can be read again.") == 1


def test_weights_and_scores_that_cannot_be_read_stay_and_it_is_said_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    WeightStore(place.database).set("", CONTAINER, 3)
    ScoreStore(place.database).set("Old*", "*", Fraction(1, 2))
    inputs = place.inputs()
    before = inputs.read()
    place.damage(FRAMEWORK_WEIGHTS, weight="much")
    place.damage(HARDWARE_SCORES, score="9")
    for _ in range(2):
        read = inputs.read()
        assert (read.weights, read.score_rows) == (before.weights, before.score_rows)
    assert caplog.text.count("Weights: what was known before is used: The weight of") == 1
    assert caplog.text.count("Scores: what was known before is used: The score of") == 1
    place.damage(FRAMEWORK_WEIGHTS, weight="5")
    assert inputs.read().weights == {"": {CONTAINER: 5}}
    assert caplog.text.count("Weights can be read again.") == 1
    assert "Scores can be read again." not in caplog.text


def test_pools_come_from_aggregates_as_the_option_says(place: Place) -> None:
    nova(place).of = (FAST, Aggregate("west", "west", hosts=("a",)))
    assert place.inputs().read().pool_of == {}
    assert place.inputs("aggregate").read().pool_of == {"a": DEFAULT_POOL, "b": "fast"}
    assert place.inputs("availability_zone").read().pool_of == {"a": "west", "b": DEFAULT_POOL}


def test_without_placement_the_aggregates_alone_name_hosts(place: Place) -> None:
    place.placement = None
    nova(place).of = (FAST,)
    assert place.inputs("aggregate").read().pool_of == {"b": "fast"}


def test_aggregates_are_asked_for_now_and_then(place: Place) -> None:
    nova(place).of = (FAST,)
    inputs = place.inputs("aggregate")
    inputs.read()
    nova(place).of = ()
    assert inputs.read().pool_of["b"] == "fast"
    place.clock.now_s += 61
    assert inputs.read().pool_of["b"] == DEFAULT_POOL
    assert nova(place).asked == 2


def test_a_host_that_is_new_gets_its_pool_at_once(place: Place) -> None:
    nova(place).of = (Aggregate("ssd", hosts=("c",), metadata={"hybrid_sched:pool": "fast"}),)
    inputs = place.inputs("aggregate")
    inputs.read()
    placement(place).held["c"] = {}
    assert inputs.read().pool_of == {"a": "", "b": "", "c": "fast"}


def test_while_nova_is_away_the_pools_stay_and_it_is_said_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    nova(place).of = (FAST,)
    inputs = place.inputs("aggregate")
    inputs.read()
    nova(place).fails = True
    for _ in range(2):
        place.clock.now_s += 61
        assert inputs.read().pool_of["b"] == "fast"
    assert caplog.text.count("Host aggregates: what was known before is used: Nova is away") == 1


def test_aggregates_that_were_never_read_are_asked_for_at_each_cycle(place: Place) -> None:
    nova(place).of, nova(place).fails = (FAST,), True
    inputs = place.inputs("aggregate")
    assert inputs.read().pool_of["b"] == DEFAULT_POOL
    nova(place).fails = False
    assert inputs.read().pool_of["b"] == "fast"


def test_a_host_in_aggregates_of_several_pools_is_told_of_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    nova(place).of = (SLOW, FAST)
    inputs = place.inputs("aggregate")
    for _ in range(2):
        assert inputs.read().pool_of == {"a": "slow", "b": "fast"}
    assert caplog.text.count("Host b is in aggregates of different pools (ssd: fast, tape: ") == 1
    nova(place).of = (SLOW,)
    place.clock.now_s += 61
    inputs.read()
    nova(place).of = (SLOW, FAST)
    place.clock.now_s += 61
    inputs.read()
    # It came back after it was mended.
    assert caplog.text.count("Host b is in aggregates of different pools") == 2


def relocation(place: Place, term: int, **fields: Any) -> MoveRecord:
    """Put a running relocation of the container t from a to b into the ledger."""
    decision_ = Decision(
        task="t",
        framework=CONTAINER,
        demand=Resources(memory_mb=10),
        use=NO_USE,
        source="a",
        target="b",
        reason="",
        effect=Effect("memory_mb", 0, 0, 0, 0),
        score_before=1.0,
        score_after=0.0,
        cost=0.0,
        copy_mb=0.0,
    )
    move = MoveRecord("m", "p", decision_, "zun_relocate", state=MoveState.RUNNING)
    assert MoveStore(place.database).add([replace(move, **fields)], term)
    return move


def test_a_container_that_is_made_again_elsewhere_counts_once_until_its_move_is_over(
    place: Place,
) -> None:
    term = Terms(place.database).begin("test", 1.0)
    for uuid in ("t", "copy"):
        place.site.engine.take_decision(decision(uuid))
    inputs = place.inputs()
    placement(place).claim("a", t=10)
    placement(place).claim("b", copy=10)

    def charged() -> dict[str, int]:
        read = inputs.read()
        assert read.claims_of is not None
        return {
            uuid: sum(each.demand[1] for each in [claim] if each.counts_for_share)
            for host in "ab"
            for uuid, claim in read.claims_of(host).items()
        }

    assert charged() == {"t": 10, "copy": 10}
    move = relocation(place, term, details={"target": "copy"})
    assert inputs.read().arrivals == {"m": Arrival("b", Resources(memory_mb=10))}
    assert charged() == {"t": 10, "copy": 0}
    placement(place).claim("a")
    assert charged() == {"copy": 10}
    ended = replace(move, state=MoveState.DONE, ended_at_s=5.0)
    assert MoveStore(place.database).update(ended, MoveState.RUNNING, term)
    assert inputs.read().arrivals == {}
    placement(place).claim("a", t=10)
    # What is over says nothing of the two any more.
    assert charged() == {"t": 10, "copy": 10}


def test_drained_hosts_are_read(place: Place) -> None:
    term = Terms(place.database).begin("test", 1.0)
    inputs = place.inputs()
    assert inputs.read().drained == frozenset()
    WatchdogStore(place.database).drain("a", term, 1.0)
    assert inputs.read().drained == frozenset({"a"})
