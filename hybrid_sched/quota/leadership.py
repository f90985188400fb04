# SPDX-License-Identifier: Apache-2.0
"""Which engine leads: a lock that tooz keeps, and a term of the database that fences off whoever led before."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from oslo_config import cfg
from oslo_log import log
from tooz import ToozError, coordination

from hybrid_sched.db import DatabaseError
from hybrid_sched.db.terms import Terms

LOG = log.getLogger(__name__)

_LOCK = b"hybrid-sched-engine"
#: What comes of a scheme that tooz does not know, and of a library that is not installed.
_NO_DRIVER = (RuntimeError, ImportError)


class Leadership:
    """One engine's part in the election.

    The lock decides who may lead; a driver of tooz may lose it without a word, for example over a pause of the process. So
    each leader begins a new term, and every write and every snapshot names it: what an earlier leader still says is refused.

    :param conf: options of the group ``[coordination]``.
    :param terms: of the database.
    """

    def __init__(self, conf: cfg.ConfigOpts, terms: Terms) -> None:
        self._options = conf.coordination
        self._terms = terms
        self._coordinator: Any = None
        self._lock: Any = None
        self._trouble = ""

    def campaign(self, stopping: threading.Event) -> int | None:
        """Wait until this engine leads.

        :param stopping: ends the wait.
        :returns: the term; None when told to stop.
        """
        while not stopping.is_set():
            try:
                if self._acquire():
                    term = self._terms.begin(self._options.member_id, time.time())
                    self._trouble = ""
                    return term
                self._say("Another engine leads; standing by.")
            except (ToozError, OSError, *_NO_DRIVER) as error:
                self._drop()
                self._say(f"No leader can be elected through [coordination] backend_url: {error}.")
            except DatabaseError as error:
                self._drop()
                self._say(f"No term can be begun: {error}")
            stopping.wait(self._options.election_period_s)
        return None

    def holds(self, term: int) -> bool:
        """Say whether this engine still leads in a term.

        :raises DatabaseError: when the database does not tell.
        """
        return bool(self._lock is not None and self._lock.acquired) and self._terms.newest() == term

    def resign(self) -> None:
        """Let another engine lead."""
        self._drop()

    def _acquire(self) -> bool:
        if self._coordinator is None:
            url = self._options.backend_url
            if url.startswith("file:"):
                Path(urlsplit(url).path).mkdir(parents=True, exist_ok=True)
            coordinator = coordination.get_coordinator(url, self._options.member_id.encode())
            coordinator.start(start_heart=True)
            self._coordinator = coordinator
            self._lock = coordinator.get_lock(_LOCK)
        return bool(self._lock.acquire(blocking=False))

    def _drop(self) -> None:
        coordinator, lock = self._coordinator, self._lock
        self._coordinator = self._lock = None
        if coordinator is None:
            return
        try:
            if lock.acquired:
                lock.release()
            coordinator.stop()
        except (ToozError, OSError) as error:
            LOG.debug("The election was left untidily: %s.", error)

    def _say(self, what: str) -> None:
        # Said once, not at each attempt.
        if what != self._trouble:
            self._trouble = what
            LOG.warning("%s", what)
