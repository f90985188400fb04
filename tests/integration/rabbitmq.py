# SPDX-License-Identifier: Apache-2.0
"""A real RabbitMQ for tests: on loopback, with ports, a name, a data directory and an epmd of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import amqp
import kombu
from waiting import wait_until

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
_START_TIMEOUT_S = 60


def why_not() -> str | None:
    """Say why no broker can be started here; None when one can."""
    if not _SERVER.exists():
        return f"{_SERVER} is missing: install rabbitmq-server (make packages)"
    if shutil.which("epmd") is None:
        return "epmd is missing: install rabbitmq-server (make packages)"
    return None


class Broker:
    """One broker that can be killed and started again on the same port.

    :param directory: for its data and its logs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port, distribution_port, self._epmd_port = _free_ports(3)
        self._environment = {
            **os.environ,
            "HOME": str(directory),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"hybrid-test-{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            # One scheduler that sleeps when idle: the machine is shared with what is measured.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        (directory / "enabled_plugins").write_text("[].\n")
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Give the transport URL."""
        return f"rabbit://guest:guest@127.0.0.1:{self.port}/"

    @property
    def is_running(self) -> bool:
        """Say whether it was started and not ended since."""
        return self._server is not None

    def start(self) -> None:
        """Start it and wait until it greets."""
        if self._epmd is None:
            # Started by Erlang itself it would be a daemon that nobody stops.
            self._epmd = subprocess.Popen(
                ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_until(lambda: _accepts(self._epmd_port), "epmd accepts connections")
        with (self._directory / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(_SERVER)],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._greets, f"RabbitMQ greets on port {self.port}", _START_TIMEOUT_S)

    def has_exchange(self, name: str) -> bool:
        """Say whether there is an exchange of this name now."""
        with kombu.Connection(f"amqp://guest:guest@127.0.0.1:{self.port}//") as connection:
            try:
                connection.channel().exchange_declare(name, "fanout", passive=True)
            except amqp.NotFound:
                return False
            return True

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self._server = None

    def stop(self) -> None:
        """End all that was started."""
        if self._server is not None:
            self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def _greets(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise RuntimeError(f"RabbitMQ ended: see {self._directory / 'server.log'}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(_PROTOCOL_HEADER)
                return bool(connection.recv(1))
        except OSError:
            return False


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
