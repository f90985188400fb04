# SPDX-License-Identifier: Apache-2.0
"""What the doctor says: findings, each with a stable code, and repairs as values that somebody else carries out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How bad a finding is; the number is the exit code that it makes."""

    NOTE = 0
    WARNING = 1
    ERROR = 2
    #: Something could not be looked at, so that silence about it means nothing.
    UNKNOWN = 3


class Safety(StrEnum):
    """Whether the doctor repairs something, and whether it asks before."""

    #: Done without a question: what is written cannot be missed by anybody.
    SAFE = "safe"
    #: Done when an operator says yes.
    ASK = "asks"
    #: Left to the operator.
    NONE = "no"


@dataclass(frozen=True, slots=True)
class SetInventory:
    """Correct one resource class of a provider; what is None stays as it is.

    :param provider_uuid: whose.
    :param resource_class: of Placement.
    :param found: total, reserved and ratio as they were seen; None where there was no such inventory. The repair is given up
        when what it writes has changed.
    :param total: to be written.
    :param reserved: to be written.
    :param ratio: allocation ratio to be written.
    """

    provider_uuid: str
    resource_class: str
    found: tuple[int, int, float] | None
    total: int | None = None
    reserved: int | None = None
    ratio: float | None = None

    def __str__(self) -> str:
        changes = {"total": self.total, "reserved": self.reserved, "allocation_ratio": self.ratio}
        written = ", ".join(
            f"{name} {value:g}" for name, value in changes.items() if value is not None
        )
        return f"set {written} in inventory {self.resource_class} of provider {self.provider_uuid}"


@dataclass(frozen=True, slots=True)
class ReleaseClaim:
    """Delete what a consumer holds.

    :param consumer_uuid: whose claim.
    :param unknown_to_zun: whether Zun must not know the consumer; else, the container must have no host.
    """

    consumer_uuid: str
    unknown_to_zun: bool = True

    def __str__(self) -> str:
        return f"delete the allocations of consumer {self.consumer_uuid} in Placement"


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove an ended container from Docker.

    :param container_id: Docker's.
    :param uuid: that Zun gave it.
    """

    container_id: str
    uuid: str

    def __str__(self) -> str:
        return f"remove container {self.container_id[:12]} from Docker"


Repair = SetInventory | ReleaseClaim | RemoveContainer


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    :param code: stable name, ``family.what``.
    :param severity: of it.
    :param host: as Nova and Zun know it; empty for what concerns all.
    :param sentence: what was found.
    :param remedy: what to do, a sentence.
    :param safety: whether and how it is repaired.
    :param repair: what would repair it; None where the doctor cannot.
    """

    code: str
    severity: Severity
    host: str
    sentence: str
    remedy: str
    safety: Safety = Safety.NONE
    repair: Repair | None = None


#: Every kind of finding by its code, in the order in which they are documented.
KINDS: dict[str, Kind] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding; making one registers it.

    :param code: stable name, ``family.what``.
    :param severity: of each finding.
    :param safety: of its repair.
    """

    code: str
    severity: Severity
    safety: Safety = field(default=Safety.NONE)

    def __post_init__(self) -> None:
        if self.code in KINDS:
            raise ValueError(f"code {self.code} is taken")
        KINDS[self.code] = self

    def found(self, host: str, sentence: str, remedy: str, repair: Repair | None = None) -> Finding:
        """Make a finding; without a repair it is left to the operator, whatever its kind."""
        safety = self.safety if repair is not None else Safety.NONE
        return Finding(self.code, self.severity, host, sentence, remedy, safety, repair)


def exit_code(left: Iterable[Finding]) -> int:
    """Give the exit code for the findings that are left after repairs: the greatest severity."""
    return int(max((finding.severity for finding in left), default=Severity.NOTE))
