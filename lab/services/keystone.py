# SPDX-License-Identifier: Apache-2.0
"""Keystone: accounts and the catalog."""

from __future__ import annotations

import openstack

from lab import ini
from lab.layout import CONTROL_IP, REGION, Lab
from lab.services.common import once, run, start_wsgi

_ENDPOINTS = (
    ("placement", "placement", f"http://{CONTROL_IP}:8778"),
    ("glance", "image", f"http://{CONTROL_IP}:9292"),
    ("nova", "compute", f"http://{CONTROL_IP}:8774/v2.1"),
    ("neutron", "network", f"http://{CONTROL_IP}:9696"),
    ("zun", "container", f"http://{CONTROL_IP}:9517/v1"),
)
_ACCOUNTS_WITHOUT_ENDPOINT = ("kuryr", "hybrid")


def configure(lab: Lab) -> None:
    """Write its configuration."""
    ini.write(
        lab.config("keystone", "keystone.conf"),
        {
            "DEFAULT": {},
            "database": {"connection": lab.database_url("keystone")},
            "token": {"provider": "fernet", "expiration": 86400},
            # Accounts of a lab; the default makes each sign-in slow on a small machine.
            "identity": {"password_hash_rounds": 4},
            "fernet_tokens": {"key_repository": lab.folder("data", "keystone", "fernet")},
            "credential": {"key_repository": lab.folder("data", "keystone", "credential")},
            "cache": {"enabled": False},
        },
    )


def prepare(lab: Lab) -> None:
    """Make its tables and keys."""
    manage = [lab.bin / "keystone-manage", "--config-dir", lab.config("keystone", "x").parent]

    def work() -> None:
        run(lab, "keystone-sync", [*manage, "db_sync"])
        for keys in ("fernet_setup", "credential_setup"):
            run(
                lab,
                "keystone-sync",
                [*manage, keys, "--keystone-user", "root", "--keystone-group", "root"],
            )
        url = f"http://{CONTROL_IP}:5000/v3"
        run(
            lab,
            "keystone-sync",
            [
                *(*manage, "bootstrap", "--bootstrap-password", lab.password),
                *("--bootstrap-admin-url", url, "--bootstrap-internal-url", url),
                *("--bootstrap-public-url", url, "--bootstrap-region-id", REGION),
            ],
        )

    once(lab, "keystone-sync", work)


def start(lab: Lab) -> None:
    """Start it and fill the catalog the first time."""
    start_wsgi(
        lab,
        "keystone",
        5000,
        "keystone.wsgi.api:application",
        environment={"OS_KEYSTONE_CONFIG_DIR": str(lab.config("keystone", "x").parent)},
    )
    once(lab, "keystone-catalog", lambda: _fill_catalog(lab))


def _fill_catalog(lab: Lab) -> None:
    auth = {
        "auth_url": f"http://{CONTROL_IP}:5000/v3",
        "username": "admin",
        "password": lab.password,
        "project_name": "admin",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    cloud = openstack.connect(
        auth=auth, region_name=REGION, load_envvars=False, load_yaml_config=False
    )
    identity = cloud.identity
    project = identity.find_project("service") or identity.create_project(
        name="service", domain_id="default"
    )
    if identity.find_role("service") is None:
        identity.create_role(name="service")
    roles = {role.name: role for role in identity.roles()}
    known = {service.name for service in identity.services()}
    for name in (*(name for name, _, _ in _ENDPOINTS), *_ACCOUNTS_WITHOUT_ENDPOINT):
        user = identity.find_user(name) or identity.create_user(
            name=name, password=lab.password, domain_id="default"
        )
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project.id, user.id, roles[role].id)
    # Zun starts and stops containers of their own project alone, which the watchdog has to do to move one.
    tenants, hybrid = identity.find_project("admin"), identity.find_user("hybrid")
    identity.assign_project_role_to_user(tenants.id, hybrid.id, roles["admin"].id)
    for name, kind, url in _ENDPOINTS:
        if name not in known:
            service = identity.create_service(name=name, type=kind)
            for interface in ("public", "internal", "admin"):
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id=REGION
                )
