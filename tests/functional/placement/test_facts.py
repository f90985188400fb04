# SPDX-License-Identifier: Apache-2.0
"""What reading claims by the change of generations rests on, as the real Placement does it."""

from __future__ import annotations

import uuid

from cloud import PlacementCloud

GUEST = {"VCPU": 2, "MEMORY_MB": 512}


def consumer() -> str:
    return str(uuid.uuid4())


def test_each_write_of_claims_changes_the_generation_of_each_provider_written_to(
    cloud: PlacementCloud,
) -> None:
    one, two, other = (cloud.start_host(name) for name in ("one", "two", "other"))
    guest, migration = consumer(), consumer()
    seen = [(cloud.generation(one), cloud.generation(two))]
    for claims in (
        {guest: {one: GUEST}},
        {guest: {one: GUEST, two: GUEST}},
        {guest: {}, migration: {one: GUEST, two: GUEST}},
        {migration: {}},
    ):
        cloud.write(claims)
        seen.append((cloud.generation(one), cloud.generation(two)))
    assert len({first for first, _ in seen}) == 5
    assert len({second for _, second in seen}) == 4
    assert seen == sorted(seen)
    assert cloud.claimed(one) == {}
    untouched = cloud.generation(other)
    cloud.claim(guest, {one: GUEST})
    assert cloud.generation(other) == untouched


def test_deleting_claims_changes_no_generation(cloud: PlacementCloud) -> None:
    host = cloud.start_host("one")
    guest = consumer()
    cloud.claim(guest, {host: GUEST})
    before = cloud.generation(host)
    cloud.delete(guest)
    assert cloud.claimed(host) == {}
    assert cloud.generation(host) == before


def test_claims_that_are_replaced_by_claims_elsewhere_change_no_generation_where_they_were(
    cloud: PlacementCloud,
) -> None:
    source, target = cloud.start_host("one"), cloud.start_host("two")
    guest = consumer()
    cloud.claim(guest, {source: GUEST})
    before = cloud.generation(source)
    cloud.claim(guest, {target: GUEST})
    assert cloud.claimed(source) == {}
    assert cloud.generation(source) == before


def test_a_claim_written_as_nova_and_zun_do_has_no_consumer_type(cloud: PlacementCloud) -> None:
    host = cloud.start_host("one")
    untyped, typed = consumer(), consumer()
    cloud.claim(untyped, {host: GUEST})
    cloud.claim(typed, {host: GUEST}, "INSTANCE")
    assert cloud.client.consumer_type(untyped) is None
    assert cloud.client.consumer_type(typed) == "INSTANCE"
    assert cloud.client.consumer_type(consumer()) is None
