# SPDX-License-Identifier: Apache-2.0
"""Our extra specs in nova-api, which refuses a bad value when it is given (``nova.api.extra_spec_validators``)."""

from __future__ import annotations

from nova import exception
from nova.api.validation.extra_specs import base

from hybrid_sched.core import declaration
from hybrid_sched.core.declaration import CPU_PERCENT, RELOCATE, STATE

_RATE = (
    "Bytes per second: a whole number, with or without one of the units B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s. "
    "0 declares none."
)
_DESCRIPTIONS = {
    CPU_PERCENT: "The part of each of its CPUs that a guest may use at most, in percent: a whole number from 1 to 100.",
    "hybrid:disk_read_bps": f"The rate at which a guest may read from its disks. {_RATE}",
    "hybrid:disk_write_bps": f"The rate at which a guest may write to its disks. {_RATE}",
    "hybrid:net_in_bps": f"The rate at which a guest may receive. {_RATE}",
    "hybrid:net_out_bps": f"The rate at which a guest may send. {_RATE}",
    STATE: "The state in which a queued guest begins: running, paused or closed.",
    RELOCATE: "Whether a guest may be moved to another host while it runs: allow (the default) or deny.",
}


class DeclaredSpec(base.ExtraSpecValidator):
    """One field of the declaration, judged by the parser that the filters and agents read it with.

    Nova's own validators judge by type and pattern, and do not name the extra spec.
    """

    def validate(self, name: str, value: object) -> None:
        """Judge a value.

        :param name: of the extra spec.
        :param value: text, or a number as the API takes one.
        :raises ValidationError: when it cannot be read, with the field and the remedy.
        """
        fault = declaration.fault_of(name, value)
        if fault:
            raise exception.ValidationError(f"Validation failed; {fault}.")


def register() -> list[base.ExtraSpecValidator]:
    """List our extra specs, for Nova."""
    return [
        DeclaredSpec(name=key, description=text, value={"type": str})
        for key, text in _DESCRIPTIONS.items()
    ]
