# SPDX-License-Identifier: Apache-2.0
"""MariaDB, the database of all services.

It runs as root, like all of the lab: another account might not reach a checkout below /root.
"""

from __future__ import annotations

import subprocess

from lab.layout import CONTROL_IP, Lab
from lab.processes import ProcessTable, StepFailed
from lab.services.common import answers_tcp, once, run

DATABASES = (
    "keystone",
    "placement",
    "glance",
    "nova_api",
    "nova_cell0",
    "nova_cell1",
    "neutron",
    "zun",
    "hybrid_sched",
)


def start(lab: Lab) -> None:
    """Start it, and make the databases the first time."""
    data = lab.folder("data", "mariadb")

    def install() -> None:
        run(
            lab,
            "mariadb-install",
            [
                "mariadb-install-db",
                "--no-defaults",
                "--user=root",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
        )

    once(lab, "mariadb-install", install)
    ProcessTable(lab).start(
        "mariadb",
        [
            "mariadbd",
            "--no-defaults",
            "--user=root",
            f"--datadir={data}",
            # Relative to the data folder: a path below a deep checkout may be too long for a socket.
            "--socket=mariadb.sock",
            f"--bind-address={CONTROL_IP}",
            "--pid-file=mariadb.pid",
            "--innodb-flush-log-at-trx-commit=0",
            "--sync-binlog=0",
            "--innodb-buffer-pool-size=128M",
            "--performance-schema=off",
            "--max-connections=1000",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--skip-name-resolve",
        ],
        ready=answers_tcp(3306),
    )
    once(lab, "mariadb-databases", lambda: _make_databases(lab))


def _make_databases(lab: Lab) -> None:
    statements = [f"CREATE USER IF NOT EXISTS lab@'%' IDENTIFIED BY '{lab.password}';"]
    for name in DATABASES if not lab.stock else DATABASES[:-1]:
        statements.append(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4;")
        statements.append(f"GRANT ALL ON {name}.* TO lab@'%';")
    done = subprocess.run(
        ["mariadb", "--no-defaults", "--socket=mariadb.sock", "--user=root"],
        input="\n".join(statements),
        text=True,
        capture_output=True,
        check=False,
        cwd=lab.folder("data", "mariadb"),
    )
    if done.returncode != 0:
        raise StepFailed(f"The databases could not be made: {done.stderr.strip()}.")
