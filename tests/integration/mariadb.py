# SPDX-License-Identifier: Apache-2.0
"""A real MariaDB for tests: on loopback, with a port, a socket and a data directory of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pymysql
from waiting import wait_until

_PROGRAMS = ("mariadbd", "mariadb-install-db")
_START_TIMEOUT_S = 60
_INSTALL_TIMEOUT_S = 120
USER = "hybrid"
PASSWORD = "not-for-logs"


def why_not() -> str | None:
    """Say why no server can be started here; None when one can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    return (
        f"{missing[0]} is missing: install mariadb-server-core (make packages)" if missing else None
    )


class Server:
    """One server that can be killed and started again on the same port.

    :param directory: for its data and its log.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Say whether it was started and not ended since."""
        return self._process is not None

    def url(self, database: str) -> str:
        """Give the URL of one database."""
        return f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it lets our account in; commits wait for the disk, as by default."""
        accounts = self._directory / "accounts.sql"
        if not self._data.exists():
            self._install()
            accounts.write_text(
                f"CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
                f"GRANT ALL ON *.* TO {USER}@'127.0.0.1';\n"
            )
        with (self._directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "mariadbd",
                    "--no-defaults",
                    *_account(),
                    f"--datadir={self._data}",
                    # Relative to the data directory: the path of a socket must be short.
                    "--socket=mariadb.sock",
                    "--pid-file=mariadb.pid",
                    "--bind-address=127.0.0.1",
                    f"--port={self.port}",
                    f"--init-file={accounts}",
                    "--innodb-buffer-pool-size=32M",
                    "--performance-schema=off",
                    "--skip-name-resolve",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._lets_in, f"MariaDB lets us in on port {self.port}", _START_TIMEOUT_S)

    def make_database(self, name: str) -> str:
        """Make an empty database and give its URL."""
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return self.url(name)

    def execute(self, statement: str) -> tuple[tuple[object, ...], ...]:
        """Run one statement, apart from the connections under test."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def kill(self) -> None:
        """End it at once, as a power failure would; nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _install(self) -> None:
        command = [
            "mariadb-install-db",
            "--no-defaults",
            *_account(),
            f"--datadir={self._data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"MariaDB cannot be installed: {done.stdout}{done.stderr}")

    def _lets_in(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"MariaDB ended: see {self._directory / 'server.log'}")
        try:
            return bool(self.execute("SELECT 1"))
        except pymysql.Error:
            return False


def _account() -> list[str]:
    # Another account could not reach pytest's directories of root.
    return ["--user=root"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
