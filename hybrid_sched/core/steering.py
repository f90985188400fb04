# SPDX-License-Identifier: Apache-2.0
"""How a request says for which host it was planned: the queue writes it, the weigher and the order filter read it."""

from __future__ import annotations

#: Scheduler hint of Nova and of Zun with the name of the planned host. It is a wish among the hosts that every filter let
#: pass, and never a way past a filter.
PLANNED_HOST_HINT = "hybrid_host"

#: Key of the metadata of a server, and of the label of a container, with the uuid of its queued task (idempotency key).
TASK_KEY = "hybrid:task"

#: Label of a container with the uuid of the move that makes it again on another host. The share gate believes it only while the
#: quota service knows of that move, and only for its target and for no more than its task holds.
MOVE_LABEL = "hybrid:move"

#: Label of a container with the volumes that it is given, as ``VOLUME:/PATH``, separated by commas: Zun's API tells nobody of
#: them, and a relocation has to give them to the container again.
MOUNTS_LABEL = "hybrid:mounts"

_LONGEST_NAME = 255


def planned_host(hint: object) -> str:
    """Read the value of the hint, which any user may set to anything.

    :returns: the name of a host; empty when it can be none.
    """
    if isinstance(hint, str) and len(hint) <= _LONGEST_NAME and hint.isprintable():
        return hint
    return ""


def planned_text(host: str, *, passed: bool) -> str:
    """Say what became of a plan, for the record of a decision.

    :param host: for which the request was planned.
    :param passed: whether it was among the hosts that every filter let pass.
    """
    if passed:
        return f"planned for host {host}"
    return f"planned for host {host}, which was not among the hosts that passed"
