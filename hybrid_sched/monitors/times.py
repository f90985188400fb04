# SPDX-License-Identifier: Apache-2.0
"""Times as Nova and Docker write them."""

from __future__ import annotations

import datetime


def unix_time(text: str | None) -> float:
    """Read an ISO 8601 time, in UTC where it does not say; 0 when there is none.

    :param text: for example ``2026-11-26 01:22:13`` or ``2026-11-26T01:22:13.123456789Z``.
    """
    try:
        moment = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp())
