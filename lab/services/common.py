# SPDX-License-Identifier: Apache-2.0
"""What the services of the control plane share."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.ini import Section
from lab.layout import CONTROL_IP, REGION, Lab
from lab.processes import ProcessTable, StepFailed


def answers_tcp(port: int, address: str = CONTROL_IP) -> Callable[[], bool]:
    """Make a check that a port takes connections."""

    def check() -> bool:
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            return False

    return check


def answers_http(port: int, path: str = "/") -> Callable[[], bool]:
    """Make a check that a web service answers, with whatever but a server's fault."""

    def check() -> bool:
        connection = http.client.HTTPConnection(CONTROL_IP, port, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def start_wsgi(
    lab: Lab,
    name: str,
    port: int,
    module: str,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Start a web service under uWSGI, one process."""
    command = [
        str(lab.bin / "uwsgi"),
        *("--http-socket", f"{CONTROL_IP}:{port}", "--module", module),
        *("--master", "--die-on-term", "--enable-threads", "--lazy-apps", "--need-app"),
        *("--processes", "1", "--threads", "3", "--buffer-size", "65535"),
        *("--add-header", "Connection: close", "--disable-logging"),
        *arguments,
    ]
    ProcessTable(lab).start(
        name, command, ready=answers_http(port), timeout_s=90, environment=environment
    )


def run(
    lab: Lab, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    """Run a command to its end.

    :raises StepFailed: when it fails.
    """
    log = lab.log(name)
    base = {"PATH": lab.client_environment()["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}
    with log.open("ab") as output:
        done = subprocess.run(
            list(map(str, command)),
            env={**base, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            cwd="/",
        )
    if done.returncode != 0:
        program = Path(command[0]).name
        raise StepFailed(f"{program} ended with code {done.returncode}; read {log}.")


def once(lab: Lab, name: str, work: Callable[[], None]) -> None:
    """Do a piece of work unless this lab has done it."""
    mark = lab.folder("done") / name
    if not mark.exists():
        work()
        mark.touch()


def service_account(lab: Lab, user: str) -> Section:
    """Options with which a service signs in to Keystone."""
    return {
        "auth_url": f"http://{CONTROL_IP}:5000/v3",
        "auth_type": "password",
        "username": user,
        "password": lab.password,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": REGION,
    }


def token_check(lab: Lab, user: str) -> Section:
    """Options with which a service checks tokens."""
    return {
        "www_authenticate_uri": f"http://{CONTROL_IP}:5000/v3",
        **service_account(lab, user),
        "service_token_roles_required": True,
        "service_token_roles": "service",
    }


#: Queues that outlive a stop of the broker, replies included. All that share an exchange must agree on it. (oslo.messaging's
#: queue manager is left out: it gives one name to queues of several services that run under uWSGI on one host.)
DURABLE_QUEUES: Section = {
    "rabbit_quorum_queue": True,
    "rabbit_transient_quorum_queue": True,
}


def share_folder(*parts: str) -> Path:
    """Give a file that a package of the virtual environment installed below etc/."""
    return Path(sys.prefix, "etc", *parts)
