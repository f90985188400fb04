# SPDX-License-Identifier: Apache-2.0
"""Claims of containers that a move made and that are no more."""

from __future__ import annotations

from hybrid_sched.clients.placement import PlacementClient
from hybrid_sched.executors.stepping import Refused, asking


class LeftClaims:
    """Gives back what a container that is deleted still holds in Placement.

    Zun deletes a container that no host has begun to make at once, and leaves the claim of it (seen with Zun 17 and 18), as
    when its host has died. One that a host deletes has none any more.

    :param placement: how Placement is asked; None when it is not configured: then claims are left to the doctor.
    """

    def __init__(self, placement: PlacementClient | None) -> None:
        self._placement = placement

    def give_back(self, uuid: str) -> str:
        """Give back what is left.

        :param uuid: of a container that Zun does not know any more.
        :returns: a sentence about what could not be given back; empty when nothing is left.
        :raises MoveUnavailable: when Placement does not answer.
        """
        if self._placement is None:
            return ""
        try:
            with asking():
                consumer = self._placement.consumer(uuid)
                if consumer is not None:
                    self._placement.release(uuid, consumer)
        except Refused as refused:
            return f"The claim of container {uuid} is left, for the doctor to find: {refused}"
        return ""
