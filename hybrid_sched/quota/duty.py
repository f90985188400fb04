# SPDX-License-Identifier: Apache-2.0
"""What a leader does besides sharing, in a thread of its own, from the start of its term to the end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from oslo_log import log

from hybrid_sched.db import DatabaseError
from hybrid_sched.db.terms import Deposed

LOG = log.getLogger(__name__)


class TermThread:
    """Make a round again and again, until it is stopped or the term is over.

    :param name: of what it works on, as the subject of a sentence.
    :param run_round: makes a round.
    :param period_s: gives the seconds between two rounds.
    :param over: called when the term turns out to be over.
    """

    def __init__(
        self,
        name: str,
        run_round: Callable[[], None],
        period_s: Callable[[], float],
        over: Callable[[], None],
    ) -> None:
        self._name = name
        self._run_round = run_round
        self._period_s = period_s
        self._over = over
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._trouble = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a round that is under way is finished."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s()):
            try:
                self._run_round()
                self._trouble = ""
            except Deposed:
                self._over()
                return
            except DatabaseError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    LOG.warning("The %s waits for the database: %s", self._name, error)
            except Exception:
                LOG.exception(
                    "A round of the %s failed; the next one goes on from the database.", self._name
                )
