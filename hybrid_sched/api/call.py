# SPDX-License-Identifier: Apache-2.0
"""One request as its handler sees it, and the quota service as handlers ask it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.api.access import Caller
from hybrid_sched.api.errors import ApiError, sentence
from hybrid_sched.api.paging import Row, links, page_of
from hybrid_sched.api.route import Route
from hybrid_sched.clients.engine import NoAnswer
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.db.share_history import ShareHistory

LOG = log.getLogger(__name__)


class Asks(Protocol):
    """What can ask the quota service, as :class:`hybrid_sched.clients.engine.EngineClient` does."""

    def ask(self, method: str, timeout_s: float, arguments: dict[str, Any]) -> Any:
        """Call it."""


class Engine:
    """The quota service, for handlers.

    :param client: asks it.
    :param conf: options of the group ``[api]``.
    """

    def __init__(self, client: Asks, conf: cfg.ConfigOpts) -> None:
        self._client = client
        self._options = conf.api

    @property
    def retry_after_s(self) -> int:
        """Seconds after which a client may ask again."""
        return int(self._options.retry_after_s)

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call it.

        :returns: its answer.
        :raises ApiError: when there is none.
        """
        try:
            return self._client.ask(method, self._options.timeout_s, arguments)
        except NoAnswer as error:
            # What it says names files and services of the operator.
            LOG.warning("%s was not answered: %s", method, error)
            again_s = self.retry_after_s
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "engine.unavailable",
                f"The quota service does not answer now: ask again in {again_s} s. If that does not help, an operator finds "
                "the reason in the log of hybrid-sched-api, under the id of this request.",
                headers={"Retry-After": str(again_s)},
            ) from None

    def told(self, method: str, status: int = HTTPStatus.BAD_REQUEST, /, **arguments: Any) -> Any:
        """Call a method that answers ``{"fault"}`` or ``{"faults"}`` when it refuses.

        :param status: of a refusal.
        :raises ApiError: when there is no answer, or it is a refusal.
        """
        answer = self.ask(method, **arguments) or {}
        faults = answer.get("faults") or ([answer["fault"]] if "fault" in answer else [])
        if faults:
            raise ApiError(status, "refused", *map(sentence, faults))
        return answer


class Trusting(Protocol):
    """What has trusts made, as :class:`hybrid_sched.clients.trusts.Trusts` does."""

    @property
    def are_possible(self) -> bool:
        """Say whether there is a user to be trusted."""

    def make(self, caller: Any, user_id: str, project_id: str, roles: Sequence[str]) -> str:
        """Have a trust made; gives its id."""

    def end(self, caller: Any, trust_id: str) -> None:
        """Take a trust back."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    :param route: its route.
    :param caller: who asks, without a token on routes that everybody may ask.
    :param engine: the quota service.
    :param scores: of hardware.
    :param history: of shares.
    :param trusts: by which tasks are launched in the projects of their owners.
    :param path: parameters of the path.
    :param query: parameters of the query, read.
    :param given: parameters of the query as they were given.
    :param body: read; None without one.
    :param root: address of the interface, without a slash at its end.
    """

    route: Route
    caller: Caller
    engine: Engine
    scores: ScoreStore
    history: ShareHistory
    trusts: Trusting
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: Any = None
    root: str = ""

    def collection(self, plural: str, rows: Sequence[Row], marker: str) -> dict[str, Any]:
        """Answer with one page.

        :param marker: of the next page; empty when this is the last.
        """
        address = f"{self.root}{self.route.path}"
        return {plural: list(rows), f"{plural}_links": links(address, self.given, marker)}

    def page(
        self, plural: str, rows: Sequence[Row], names: Sequence[str], exact: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Answer with one page of rows that are all known.

        :param names: keys that together name a row.
        :param exact: keys whose values are exact numbers.
        """
        page, marker = page_of(
            rows, self.query, lambda row: ":".join(row[name] for name in names), exact
        )
        return self.collection(plural, page, marker)

    def matching(self, rows: Sequence[Row], *names: str) -> list[Row]:
        """Choose the rows that have what the query asks for under some names."""
        wanted = {name: self.query[name] for name in names if name in self.query}
        if "pool" in wanted:
            wanted["pool"] = pool_of(wanted["pool"])
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def pool_of(name: str | None) -> str:
    """Read the name of a pool: people call the default one ``default``."""
    return "" if name in {None, "default"} else str(name)
