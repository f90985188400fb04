# SPDX-License-Identifier: Apache-2.0
"""What the executors share: steps as values, and what a service's refusal means for a move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.interfaces.executor import MoveUnavailable, Step

_LONGEST = 500


class Refused(Exception):
    """A service will not do what a step needs; the message is a sentence.

    :param status: of HTTP.
    """

    def __init__(self, text: str, status: int | None) -> None:
        super().__init__(text)
        self.status = status


@contextmanager
def asking() -> Iterator[None]:
    """Tell a refusal from a service that does not answer.

    :raises Refused: for the one.
    :raises MoveUnavailable: for the other.
    """
    try:
        yield
    except ServiceFault as fault:
        status = fault.status
        text = sentence(str(fault))
        unanswered = status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if unanswered or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise MoveUnavailable(text) from None
        raise Refused(text, status) from None


def going_on(name: str, details: Mapping[str, Any], text: str, again_s: float = 0.0) -> Step:
    """Say that more is to be done.

    :param again_s: seconds until then.
    """
    return Step(MoveState.RUNNING, name, details, text, again_s)


def over(state: MoveState, details: Mapping[str, Any], text: str) -> Step:
    """Say that a move has ended."""
    return Step(state, state.value, details, sentence(text))


def sentence(text: str) -> str:
    """Make a sentence of what a service said."""
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
