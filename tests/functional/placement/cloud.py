# SPDX-License-Identifier: Apache-2.0
"""The real Placement in this process, written to as Nova and Zun do."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from keystoneauth1 import adapter, session, token_endpoint
from oslo_config.fixture import Config
from placement.tests.functional.fixtures.placement import PlacementFixture

from hybrid_sched.clients.nova import Migration
from hybrid_sched.clients.placement import MICROVERSION, PlacementClient

#: With which both Nova 34 and Zun 18 claim; consumer types came with 1.38.
CLAIM_MICROVERSION = "1.28"
Amounts = dict[str, int]


class FilePlacement(PlacementFixture):
    """Placement on a database that several threads can use."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _configure_placement(self, conf_fixture: Config) -> None:
        conf_fixture.config(
            group="placement_database", connection=f"sqlite:///{self._folder}/placement.sqlite"
        )


class CountingAdapter(adapter.Adapter):
    """Counts what is asked."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()

    def request(self, url: str, method: str, **settings: Any) -> Any:
        with self._lock:
            self.asked[f"{method} {url}"] += 1
        return super().request(url, method, **settings)


class PlacementCloud:
    """Hosts and what is claimed of them.

    :param endpoint: of Placement.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._auth = token_endpoint.Token(endpoint, "admin")
        self._writer = adapter.Adapter(
            session.Session(auth=self._auth),
            service_type="placement",
            default_microversion=CLAIM_MICROVERSION,
            additional_headers={"accept": "application/json"},
        )
        self.reader = CountingAdapter(
            session.Session(auth=self._auth),
            service_type="placement",
            default_microversion=MICROVERSION,
        )
        self.client = PlacementClient(self.reader)

    def start_host(self, name: str, parent: str | None = None, **total: int) -> str:
        """Make a host, or a part of one; gives its provider."""
        provider = str(uuid.uuid4())
        body = {"uuid": provider, "name": name}
        if parent:
            body["parent_provider_uuid"] = parent
        self._writer.post("/resource_providers", json=body)
        amounts = total or {"VCPU": 1000, "MEMORY_MB": 1_000_000, "DISK_GB": 1000}
        self._writer.put(
            f"/resource_providers/{provider}/inventories",
            json={
                "resource_provider_generation": 0,
                "inventories": {name: {"total": amount} for name, amount in amounts.items()},
            },
        )
        return provider

    def inventories(self, provider: str) -> dict[str, Any]:
        answer = self._writer.get(f"/resource_providers/{provider}/inventories").json()
        return dict(answer["inventories"])

    def put_inventories(self, provider: str, inventories: dict[str, Any]) -> None:
        """Replace all inventories of a provider, as the driver of a compute service does."""
        self._writer.put(
            f"/resource_providers/{provider}/inventories",
            json={
                "resource_provider_generation": self.generation(provider),
                "inventories": inventories,
            },
        )

    def remove_host(self, provider: str) -> None:
        self._writer.delete(f"/resource_providers/{provider}")

    def claim(
        self, consumer: str, held: dict[str, Amounts], consumer_type: str | None = None
    ) -> None:
        """Let a consumer hold this and nothing else, by provider."""
        self.write({consumer: held}, consumer_type)

    def write(
        self, claims: dict[str, dict[str, Amounts]], consumer_type: str | None = None
    ) -> None:
        """Write the claims of several consumers at once, as Nova does when a guest starts to move."""
        body = {}
        for consumer, held in claims.items():
            generation = self._generation_of(consumer)
            if not held and generation is None:
                continue  # Placement would keep a consumer that it tells nobody of.
            body[consumer] = {
                "allocations": {uuid: {"resources": each} for uuid, each in held.items()},
                "project_id": "project",
                "user_id": "user",
                "consumer_generation": generation,
            }
            if consumer_type:
                body[consumer]["consumer_type"] = consumer_type
        if not body:
            return
        version = MICROVERSION if consumer_type else CLAIM_MICROVERSION
        self._writer.post("/allocations", json=body, microversion=version)

    def delete(self, consumer: str) -> None:
        """Delete a consumer's claims, if it has any, as Nova does when a guest is deleted."""
        self._writer.delete(f"/allocations/{consumer}", raise_exc=False)

    def generation(self, provider: str) -> int:
        return int(self._writer.get(f"/resource_providers/{provider}").json()["generation"])

    def claimed(self, provider: str) -> dict[str, Amounts]:
        answer = self._writer.get(f"/resource_providers/{provider}/allocations").json()
        return {uuid: each["resources"] for uuid, each in answer["allocations"].items()}

    def _generation_of(self, consumer: str) -> int | None:
        answer = self._writer.get(f"/allocations/{consumer}").json()
        return answer.get("consumer_generation")


class EmulatedNova:
    """Answers in Nova's stead which guests move."""

    def __init__(self) -> None:
        self.moves: dict[str, str] = {}
        self.calls = 0

    def migrations_in_progress(self) -> tuple[Migration, ...]:
        self.calls += 1
        return tuple(
            Migration(uuid, guest, None, None, "running") for uuid, guest in self.moves.items()
        )
