# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.agent.clock import Instant
from hybrid_sched.agent.rates import Counters, Look
from hybrid_sched.agent.records import FirstSight, Record
from hybrid_sched.agent.replica import (
    DamagedReplica,
    Replica,
    ReplicaInUse,
    from_bytes,
    to_bytes,
)
from hybrid_sched.agent.state import (
    Order,
    Squeeze,
    State,
    Totals,
    state_from_json,
    state_to_json,
)
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.hardware import Hardware
from hybrid_sched.core.lifecycle import State as TaskState
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.rpc.isolation import OOM_KILL, HostEvent

FULL = State(
    boot_id="life",
    sequence=7,
    totals=Totals(4, 4096, Hardware("Xeon", "DDR4")),
    looks={
        "host": Look(Instant("kernel", 12.25), Counters({"cpu_s": 1.5})),
        "docker": Look(Instant("kernel", 12.5), Counters(), {"c": Counters({"cpu_s": 1}, "2")}),
    },
    order=Order(3, {"container": Fraction(1, 3)}, Instant("kernel", 11.0)),
    squeezes={"docker": Squeeze(Fraction(1, 2), {"c": 1024})},
    first_sights={
        "c": FirstSight("id", Declaration(Fraction(1, 2), 64, state=TaskState.CLOSED, net_in_bps=5))
    },
    records={
        "docker": {
            "c": Record(
                made="id",
                before=Limits(cpus=frozenset({3, 1})),
                touched=frozenset({Aspect.CPUS, Aspect.CPU_QUOTA}),
                life="2",
                confirmed=frozenset({Aspect.CPU_QUOTA}),
                held=Limits(cpu_quota=Fraction(1, 3)),
                settled=Limits(cpu_quota=Fraction(33333, 100000)),
            )
        }
    },
    applied={"cpus": 1},
    repaired={"cpu_quota": 2},
    events=(HostEvent("c", OOM_KILL, 12.5),),
    unsent=({"sequence": 6, "host": "a"}, {"sequence": 7, "host": "a"}),
)


def opened(directory: Path, host: str = "a") -> Replica:
    return Replica(directory, host)


def count(state: State) -> State:
    return replace(state, sequence=state.sequence + 1)


def set_aside(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.damaged-*"))


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    replica = opened(tmp_path / "new" / "directory")
    replica.update(lambda _: FULL)
    replica.close()
    assert opened(tmp_path / "new" / "directory").state == FULL


def test_what_an_earlier_release_did_not_write_is_empty() -> None:
    written = state_to_json(FULL)
    for name in ("first_sights", "records", "applied", "repaired", "events"):
        del written[name]
    assert state_from_json(written) == replace(
        FULL, first_sights={}, records={}, applied={}, repaired={}, events=()
    )


def test_a_first_start_begins_a_life_of_its_own(tmp_path: Path) -> None:
    first, second = opened(tmp_path, "a").state, opened(tmp_path, "b/../c").state
    assert (first.sequence, first.unsent) == (0, ())
    assert first.boot_id != second.boot_id


def test_hosts_that_share_a_directory_share_no_state(tmp_path: Path) -> None:
    one, two = opened(tmp_path, "one"), opened(tmp_path, "../two")
    one.update(count)
    two.update(lambda state: replace(state, sequence=9))
    assert {path.parent for path in tmp_path.rglob("*")} == {tmp_path}
    one.close()
    assert opened(tmp_path, "one").state.sequence == 1


def test_a_second_agent_of_the_host_is_kept_out_until_the_first_has_ended(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(ReplicaInUse, match=r"^another agent holds .*/a\.lock$"):
        opened(tmp_path)
    first.close()
    opened(tmp_path)


def test_a_change_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    replica = opened(tmp_path)
    replica.update(lambda state: state)
    assert not (tmp_path / "a.json").exists()


def test_a_file_cut_at_any_length_is_refused_whole() -> None:
    content = to_bytes(FULL)
    for length in range(len(content)):
        with pytest.raises(DamagedReplica):
            from_bytes(content[:length])
    assert from_bytes(content) == FULL


def test_a_file_with_any_bit_flipped_is_refused_whole() -> None:
    content = to_bytes(FULL)
    for position in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            with pytest.raises(DamagedReplica):
                from_bytes(bytes(flipped))


@given(st.binary(max_size=200))
def test_what_is_foreign_is_refused_whole(content: bytes) -> None:
    with pytest.raises(DamagedReplica):
        from_bytes(content)


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty", "other version", "dir"])
def test_a_file_that_cannot_be_used_is_set_aside_and_a_new_life_begins(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.json"
    good = to_bytes(FULL)
    content = {
        "cut": good[:-1],
        "flipped": good.replace(b'"sequence":7', b'"sequence":6'),
        "foreign": b'{"sequence": 7}',
        "empty": b"",
        "other version": good.replace(b"replica 1 ", b"replica 2 "),
    }.get(damage)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    replica = opened(tmp_path)
    (aside,) = set_aside(tmp_path)
    assert aside.is_dir() if content is None else aside.read_bytes() == content
    assert replica.state == State(boot_id=replica.state.boot_id)
    assert replica.state.boot_id != FULL.boot_id
    assert f"set aside as {aside.name}" in caplog.text
    assert "Traceback" not in caplog.text
    replica.update(count)
    replica.close()
    assert opened(tmp_path).state.sequence == 1


def test_a_file_of_the_right_form_with_other_fields_is_set_aside(tmp_path: Path) -> None:
    body = b'{"boot_id": "x"}'
    header = b"hybrid-sched-agent-replica 1 " + hashlib.sha256(body).hexdigest().encode()
    (tmp_path / "a.json").write_bytes(header + b"\n" + body)
    assert opened(tmp_path).state.sequence == 0
    assert len(set_aside(tmp_path)) == 1


def test_without_a_disk_it_goes_on_and_no_number_of_a_life_is_used_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replica = opened(tmp_path)
    used = [replica.update(count) for _ in range(3)]
    (tmp_path / "a.json.new").mkdir()  # stands in the way of every write
    used += [replica.update(count) for _ in range(3)]
    assert "The state cannot be written to" in str(replica.fault)
    # The power goes: what a restart finds is the last that was written.
    replica.close()
    (tmp_path / "a.json.new").rmdir()
    replica = opened(tmp_path)
    used += [replica.update(count) for _ in range(3)]
    assert replica.fault is None
    numbers = [(state.boot_id, state.sequence) for state in used]
    assert len(set(numbers)) == len(numbers)
    assert numbers[3][0] == numbers[5][0] != numbers[0][0] == numbers[-1][0]
    assert caplog.text.count("cannot be written") == 1


def test_once_the_disk_is_back_the_present_life_is_on_it(tmp_path: Path) -> None:
    replica = opened(tmp_path)
    replica.update(count)
    (tmp_path / "a.json.new").mkdir()
    replica.update(count)
    (tmp_path / "a.json.new").rmdir()
    state = replica.update(count)
    assert replica.fault is None
    replica.close()
    assert opened(tmp_path).state == state


def test_a_state_that_can_be_read_but_not_written_is_no_life_to_go_on_with(tmp_path: Path) -> None:
    replica = opened(tmp_path)
    written = replica.update(count)
    replica.close()
    (tmp_path / "a.lock").unlink()
    (tmp_path / "a.lock").mkdir()
    state = opened(tmp_path).state
    assert state == replace(written, boot_id=state.boot_id)
    assert state.boot_id != written.boot_id


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from hybrid_sched.agent.replica import Replica

replica = Replica(Path(sys.argv[1]), "a")
print(replica.state.sequence, flush=True)
while True:
    state = replica.update(lambda state: replace(
        state, sequence=state.sequence + 1,
        unsent=(*state.unsent, {"sequence": state.sequence + 1, "padding": "x" * 4000})[-6:]))
    print(state.sequence, flush=True)
"""


def test_over_30_kills_at_any_moment_every_state_is_whole_and_no_number_is_lost(
    tmp_path: Path,
) -> None:
    chance = random.Random(20)
    seen, boot_ids = 0, set()
    for _ in range(30):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        try:
            assert int(writer.stdout.readline()) >= seen
            for _ in range(chance.randrange(1, 12)):
                seen = int(writer.stdout.readline())
            # Somewhere within the next writes.
            spin = chance.randrange(50_000)
            while spin:
                spin -= 1
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            told = writer.stdout.read().split()
            writer.wait()
            writer.stdout.close()
        seen = max([seen, *(int(number) for number in told[:-1] or told)])
        replica = opened(tmp_path)
        state = replica.state
        replica.close()
        assert state.sequence >= seen
        assert [report["sequence"] for report in state.unsent] == list(
            range(max(1, state.sequence - 5), state.sequence + 1)
        )
        seen = state.sequence
        boot_ids.add(state.boot_id)
    assert len(boot_ids) == 1
    assert set_aside(tmp_path) == []
