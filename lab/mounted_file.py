# SPDX-License-Identifier: Apache-2.0
"""Files of the lab's that a host sees in the place of the kernel's."""

from __future__ import annotations

from pathlib import Path


def overwrite(path: Path, text: str) -> None:
    """Bring a file up to date in place, as it is mounted, and never cut short, as it may be read at any time.

    An empty one makes libvirt fail without a cause, for example.

    :param text: as long as the one before.
    """
    with path.open("r+") as file:
        file.write(text)
