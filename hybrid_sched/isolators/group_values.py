# SPDX-License-Identifier: Apache-2.0
"""Values in the files of control groups of both versions."""

from __future__ import annotations

from pathlib import Path

MIB = 2**20
# Version 1 rounds "no limit" down to a page.
_NO_LIMIT_FROM = 2**62


def mib(number: int) -> int | None:
    """Give bytes in MiB, rounded up; None for what stands for no limit."""
    return None if number >= _NO_LIMIT_FROM else -(-number // MIB)


def write(file: Path, text: str) -> None:
    """Write a value in one call, as the kernel takes it.

    :raises OSError: when the kernel refuses; it has the name of the file.
    """
    try:
        file.write_text(text)
    except OSError as error:
        # What the kernel says of a value comes without the name.
        raise OSError(error.errno, error.strerror, str(file)) from None
