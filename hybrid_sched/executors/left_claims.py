# SPDX-License-Identifier: Apache-2.0
"""Claims in Placement of what a move made and what is no more."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from hybrid_sched.clients.placement import PlacementClient
from hybrid_sched.executors.stepping import Refused, asking
from hybrid_sched.interfaces.executor import MoveUnavailable, Step


class LeftClaims:
    """Gives back what Nova and Zun leave behind.

    Zun deletes a container that no host has begun to make at once, and leaves its claim, as when the host has died (seen with
    Zun 17 and 18). Nova leaves that of a live migration whose guest was deleted while it was under way (seen with Nova 34).

    :param placement: how Placement is asked; None when it is not configured: then claims are left to the doctor.
    """

    def __init__(self, placement: PlacementClient | None) -> None:
        self._placement = placement

    def given_back(self, uuid: object, ended: Step) -> Step:
        """Give back what is left, before a move ends.

        :param uuid: of a container that Zun does not know any more, or of a migration whose guest is gone; empty for none.
        :param ended: how the move ends.
        :returns: the same; its text tells of what could not be given back.
        :raises MoveUnavailable: when Placement does not answer, or something was written for it meanwhile.
        """
        if not uuid or self._placement is None:
            return ended
        uuid = str(uuid)
        try:
            with asking():
                consumer = self._placement.consumer(uuid)
                if consumer is not None:
                    self._placement.release(uuid, consumer)
        except Refused as refused:
            if refused.status == HTTPStatus.CONFLICT:
                raise MoveUnavailable(str(refused)) from None
            left = f"The claim of {uuid} is left, for the doctor to find: {refused}"
            return replace(ended, text=f"{ended.text} {left}")
        return ended
