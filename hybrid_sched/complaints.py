# SPDX-License-Identifier: Apache-2.0
"""What a source or an isolator leaves out is said once, not each period."""

from __future__ import annotations

from collections.abc import Collection

from oslo_log import log

LOG = log.getLogger(__name__)


class Complaints:
    """Sentences that were logged and still hold."""

    def __init__(self) -> None:
        self._said: frozenset[str] = frozenset()

    def tell(self, sentences: Collection[str]) -> None:
        """Log those that did not hold at the last call.

        :param sentences: all that hold now, each naming what is left out, why, and the remedy.
        """
        for sentence in sorted(set(sentences) - self._said):
            LOG.warning("%s", sentence)
        self._said = frozenset(sentences)
