# SPDX-License-Identifier: Apache-2.0
"""Receipts: what was promised to each task, and what it got."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import (
    EXACT,
    FRAMEWORK,
    SECONDS,
    UNIX_TIME,
    Schema,
    array,
    collection,
    flag,
    integer,
    nullable,
    number,
    record,
    ref,
    single,
    text,
)

_FIELDS: dict[str, Schema] = {
    "uuid": text("UUID of the server or container."),
    "name": text(),
    "framework": FRAMEWORK,
    "host": text("On which it was seen last."),
    "present": flag("Whether it is still there."),
    "begun_s": UNIX_TIME,
    "ended_s": UNIX_TIME,
    "covered_s": SECONDS,
    "covered": number("Part of the time that was measured, 0 to 1."),
    "samples": integer("Reports that were counted.", minimum=0),
    "broken": flag("Whether a promise was not kept."),
    "text": text("The verdict in a sentence."),
    "lines": array(ref("ReceiptLine")),
}
_SINCE = {**UNIX_TIME, "description": "Unix time since which the engine has counted."}
_WINDOW = {**SECONDS, "description": "Seconds that a receipt looks back."}

COMPONENTS: dict[str, Schema] = {
    "ReceiptLine": {
        "description": "One resource of a receipt, in the unit of the resource.",
        **record(
            {
                "resource": text(),
                "promised": EXACT,
                "mean": nullable(number("Mean use; null where it was not measured.")),
                "most": nullable(number("The largest mean of a period.")),
                "verdict": text(),
            }
        ),
    },
    "Receipt": record(_FIELDS),
    "Receipts": collection("receipts", ref("Receipt"), since_s=_SINCE, window_s=_WINDOW),
    "OneReceipt": single("receipt", record({**_FIELDS, "since_s": _SINCE, "window_s": _WINDOW})),
}
