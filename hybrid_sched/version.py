# SPDX-License-Identifier: Apache-2.0
"""What this release is called."""

from importlib import metadata

_DISTRIBUTION = "hybrid-sched"


def version_string() -> str:
    """Give the version of what is installed."""
    return metadata.version(_DISTRIBUTION)


def vendor_string() -> str:
    """Name who makes it."""
    return "hybrid_sched contributors"


def product_string() -> str:
    """Name it."""
    return _DISTRIBUTION


def version_string_with_package() -> str:
    """Give the version as reports of a running service show it."""
    return version_string()
