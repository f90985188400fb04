# SPDX-License-Identifier: Apache-2.0
"""What others may ask of the receipts on the bus."""

from __future__ import annotations

from dataclasses import asdict

import oslo_messaging

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.quota.receipts import ReceiptBook, TaskReceipt
from hybrid_sched.rpc import bus, wire
from hybrid_sched.rpc.messages import LONGEST_NAME
from hybrid_sched.rpc.wire import BadMessage, Wire, number_to_wire

#: Receipts of one answer.
MOST_LISTED = 500


class ReceiptEndpoint:
    """The calls of the topic ``hybrid-sched-engine``, version 1.0, that are about receipts.

    Each answers ``{"fault": sentence}`` when something that it was given cannot be used.

    :param book: the leader's.
    """

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, book: ReceiptBook) -> None:
        self._book = book

    def receipt(self, _context: Wire, uuid: object) -> Wire:
        """Give the receipt of one task.

        :returns: ``{"receipt"}``, None when the task is unknown, with ``since_s`` and ``window_s``.
        """
        try:
            found = self._book.get(wire.text(uuid, "uuid", LONGEST_NAME))
        except BadMessage as fault:
            return {"fault": str(fault)}
        return {"receipt": None if found is None else _to_wire(found), **self._counting()}

    def receipts(
        self,
        _context: Wire,
        limit: object = MOST_LISTED,
        marker: object = "",
        host: object = None,
        framework: object = None,
        broken: object = False,
    ) -> Wire:
        """Give receipts in order of uuid.

        :param limit: how many at most.
        :param marker: uuid of the last one that the caller has seen; empty to begin.
        :param host: of tasks that were seen on it last; None for any.
        :param framework: of the tasks; None for any.
        :param broken: only those with a broken promise.
        :returns: ``{"receipts"}`` with ``since_s`` and ``window_s``.
        """
        try:
            found = self._book.list(
                wire.integer(limit, "limit", 1, MOST_LISTED),
                wire.text(marker, "marker", LONGEST_NAME, may_be_empty=True),
                host=None if host is None else wire.text(host, "host", LONGEST_NAME),
                framework=None if framework is None else _framework(framework),
                broken=wire.flag(broken, "broken"),
            )
        except BadMessage as fault:
            return {"fault": str(fault)}
        return {"receipts": [_to_wire(each) for each in found], **self._counting()}

    def _counting(self) -> Wire:
        return {"since_s": self._book.since_s, "window_s": self._book.window_s}


def _framework(value: object) -> str:
    name = wire.text(value, "framework", LONGEST_NAME)
    if name not in FRAMEWORKS:
        raise BadMessage(f"framework: {name!r} is unknown: give {' or '.join(FRAMEWORKS)}")
    return name


def _to_wire(found: TaskReceipt) -> Wire:
    receipt = found.receipt
    return {
        "uuid": found.task.uuid,
        "name": found.task.name,
        "framework": found.task.framework,
        "host": found.host,
        "present": found.present,
        "begun_s": receipt.begun_s,
        "ended_s": receipt.ended_s,
        "covered_s": receipt.covered_s,
        "covered": receipt.covered,
        "samples": receipt.samples,
        "broken": receipt.broken,
        "text": receipt.text,
        "lines": [
            {**asdict(line), "promised": number_to_wire(line.promised)} for line in receipt.lines
        ],
    }
