# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.isolators.shaping import (
    LARGEST_PACKET_BYTES,
    LEAST_RATE_BPS,
    Direction,
    burst_bytes,
    is_meter_name,
    meter_name,
    queue_bytes,
)

#: Of the kernel's field for the time of a burst: 32 bits in units of 64 ns.
MOST_BURST_S = 2**32 * 64e-9

rates = st.integers(LEAST_RATE_BPS, 10**12)


@given(rates)
def test_a_burst_covers_a_late_timer_and_one_packet_and_fits_the_kernels_field(rate: int) -> None:
    burst = burst_bytes(rate)
    assert burst >= LARGEST_PACKET_BYTES
    # A kernel's clock ticks 100 times a second at least.
    assert burst * 100 >= rate
    assert burst / rate < MOST_BURST_S
    # What passes at once is not seen over a few seconds, beyond one packet.
    assert burst - LARGEST_PACKET_BYTES <= 3 * rate / 100


@given(rates)
def test_a_queue_has_room_for_a_stream_and_does_not_take_the_kernels_memory(rate: int) -> None:
    queue = queue_bytes(rate)
    assert 4 * LARGEST_PACKET_BYTES <= queue <= 16 * 2**20
    if 10**7 <= rate <= 3 * 10**8:
        assert 0.04 <= queue / rate <= 0.06


def test_sizes_of_a_usual_rate() -> None:
    assert (burst_bytes(100_000_000), queue_bytes(100_000_000)) == (2_000_000, 5_000_000)


@given(st.uuids(), st.uuids())
def test_a_meter_is_named_after_its_task_and_direction(one: uuid.UUID, other: uuid.UUID) -> None:
    names = [meter_name(str(one), direction) for direction in Direction]
    assert len(set(names)) == 2
    for name in names:
        assert is_meter_name(name)
        # What the kernel takes for a name, without its closing zero.
        assert len(name) <= 15
        assert one.hex[:12] in name
    if one.hex[:12] != other.hex[:12]:
        assert not {meter_name(str(other), direction) for direction in Direction} & set(names)


def test_devices_of_others_are_no_meters() -> None:
    for name in (
        "ifb0",
        "hso",
        "hso6f1c2a9e77b",
        "hsx6f1c2a9e77b0",
        "hso6f1c2a9e77b00",
        "hso-tap-abcdef1",
    ):
        assert not is_meter_name(name)
