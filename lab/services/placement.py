# SPDX-License-Identifier: Apache-2.0
"""Placement: one provider a host, with what guests and containers hold."""

from __future__ import annotations

from lab import ini
from lab.layout import Lab
from lab.services.common import once, run, start_wsgi, token_check


def configure(lab: Lab) -> None:
    """Write its configuration."""
    ini.write(
        lab.config("placement", "placement.conf"),
        {
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": token_check(lab, "placement"),
            "placement_database": {"connection": lab.database_url("placement")},
        },
    )


def prepare(lab: Lab) -> None:
    """Make its tables."""
    folder = lab.config("placement", "x").parent
    command = [lab.bin / "placement-manage", "--config-dir", folder, "db", "sync"]
    once(lab, "placement-sync", lambda: run(lab, "placement-sync", command))


def start(lab: Lab) -> None:
    """Start it."""
    start_wsgi(
        lab,
        "placement",
        8778,
        "placement.wsgi.api:application",
        environment={"OS_PLACEMENT_CONFIG_DIR": str(lab.config("placement", "x").parent)},
    )
