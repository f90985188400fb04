# SPDX-License-Identifier: Apache-2.0
"""Where the requests that were decided lately turn up: the host whose claim, or whose agent, shows them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from hybrid_sched.quota.cluster_state import ClusterState

#: For so long after a decision a request is looked for; slow starts and builds that are tried again are over by then.
WATCHED_S = 900.0


class Whereabouts:
    """Watch requests from a decision on, and tell each host on which they appear.

    A cycle costs a look at what changed, and one at all hosts for the few that were not seen yet.

    :param most: requests that are watched at once; the oldest give way.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._until_s: OrderedDict[str, float] = OrderedDict()
        self._seen_on: dict[str, str] = {}

    def watch(self, uuid: str, now_s: float, known_on: str = "") -> None:
        """Watch a request from now on.

        :param uuid: of it.
        :param now_s: the caller's clock.
        :param known_on: host on which it is known to be: one that moves is told of when it is elsewhere.
        """
        self._until_s[uuid] = now_s + WATCHED_S
        self._until_s.move_to_end(uuid)
        if known_on:
            self._seen_on.setdefault(uuid, known_on)
        while len(self._until_s) > self._most:
            self._forget(next(iter(self._until_s)))

    def look(
        self, state: ClusterState, changed: Collection[str], now_s: float
    ) -> list[tuple[str, str]]:
        """Give each watched request that is on another host than before, with the host.

        :param state: the cluster as it is now.
        :param changed: hosts whose claims changed since the last look.
        :param now_s: the caller's clock.
        """
        while self._until_s and next(iter(self._until_s.values())) <= now_s:
            self._forget(next(iter(self._until_s)))
        unseen = self._until_s.keys() - self._seen_on.keys()
        found = state.whereabouts(unseen)
        found += state.whereabouts(self._seen_on.keys(), changed)
        moved = dict.fromkeys(pair for pair in found if self._seen_on.get(pair[0]) != pair[1])
        news = list(moved)
        self._seen_on.update(news)
        return news

    def _forget(self, uuid: str) -> None:
        del self._until_s[uuid]
        self._seen_on.pop(uuid, None)
