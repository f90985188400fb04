# SPDX-License-Identifier: Apache-2.0
"""The REST API of hybrid_sched, under uWSGI as the cloud's other web services."""

from __future__ import annotations

from hybrid_sched.api.route import SERVICE_TYPE
from hybrid_sched.conf.api import FILES_VARIABLE
from lab.cloud import Cloud
from lab.layout import CONTROL_IP, REGION, Lab
from lab.services.common import once, start_wsgi
from lab.services.hybrid import engine_config

PORT = 9788
URL = f"http://{CONTROL_IP}:{PORT}"
_NAME = "hybrid-sched"


def start(lab: Lab) -> None:
    """Start it, and put it into the catalog the first time."""
    once(lab, "hybrid-sched-catalog", lambda: _register(lab))
    start_wsgi(
        lab,
        "hybrid-sched-api",
        PORT,
        "hybrid_sched.wsgi.api:application",
        environment={FILES_VARIABLE: str(engine_config(lab))},
    )


def _register(lab: Lab) -> None:
    identity = Cloud(lab).sdk.identity
    if any(service.type == SERVICE_TYPE for service in identity.services()):
        return
    service = identity.create_service(name=_NAME, type=SERVICE_TYPE)
    for interface in ("public", "internal", "admin"):
        identity.create_endpoint(
            service_id=service.id, interface=interface, url=URL, region_id=REGION
        )
