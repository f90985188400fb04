# SPDX-License-Identifier: Apache-2.0
"""Glance: the guests' images."""

from __future__ import annotations

from lab import ini
from lab.layout import Lab
from lab.services.common import once, run, share_folder, start_wsgi, token_check


def configure(lab: Lab) -> None:
    """Write its configuration."""
    stores = {
        "os_glance_staging_store": "staging",
        "os_glance_tasks_store": "tasks",
        "lab": "store",
    }
    ini.write(
        lab.config("glance", "glance-api.conf"),
        {
            "DEFAULT": {"enabled_backends": "lab:file", "enabled_import_methods": "[]"},
            "database": {"connection": lab.database_url("glance")},
            "keystone_authtoken": token_check(lab, "glance"),
            "paste_deploy": {
                "flavor": "keystone",
                "config_file": share_folder("glance", "glance-api-paste.ini"),
            },
            "glance_store": {"default_backend": "lab"},
            **{
                section: {"filesystem_store_datadir": lab.folder("data", "glance", folder)}
                for section, folder in stores.items()
            },
        },
    )


def prepare(lab: Lab) -> None:
    """Make its tables."""
    folder = lab.config("glance", "x").parent
    command = [lab.bin / "glance-manage", "--config-dir", folder, "db_sync"]
    once(lab, "glance-sync", lambda: run(lab, "glance-sync", command))


def start(lab: Lab) -> None:
    """Start it."""
    start_wsgi(
        lab,
        "glance",
        9292,
        "glance.wsgi.api:application",
        environment={"OS_GLANCE_CONFIG_DIR": str(lab.config("glance", "x").parent)},
    )
