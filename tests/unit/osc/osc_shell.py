# SPDX-License-Identifier: Apache-2.0
"""The real shell of ``openstack`` against the real API with a real engine behind it; only Keystone is an emulator."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from keystone import Account
from openstackclient.common.clientmanager import ClientManager
from openstackclient.shell import OpenStackShell
from osc_lib.clientmanager import ClientCache

from hybrid_sched.osc import plugin

ACCOUNTS = [
    Account("admin", "admin-project", ("admin", "manager", "member", "reader")),
    Account("member", "one", ("member", "reader")),
    Account("reader", "one", ("reader",)),
    Account("other", "two", ("member", "reader")),
    Account("service", "service", ("service",)),
]


class Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library names it
        """Say nothing."""


@contextlib.contextmanager
def served(application: Any) -> Iterator[str]:
    """Serve an application on a free port; gives its URL."""
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class OpenStack:
    """``openstack``, as a user gives commands.

    :param environment: sets variables of it.
    :param capsys: of the test.
    :param auth_url: of Keystone.
    """

    def __init__(
        self, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], auth_url: str
    ) -> None:
        self._environment = environment
        self._capsys = capsys
        self._auth_url = auth_url
        #: Of the environment, besides those of the account.
        self.variables: dict[str, str] = {}

    def __call__(self, *words: str, user: str | None = "admin") -> Said:
        for name in [name for name in os.environ if name.startswith("OS_")]:
            self._environment.delenv(name)
        if user is not None:
            self._sign_in(next(each for each in ACCOUNTS if each.name == user))
        return self._run(list(words))

    def _sign_in(self, account: Account) -> None:
        given = {
            "OS_AUTH_URL": self._auth_url,
            "OS_USERNAME": account.name,
            "OS_PASSWORD": account.name,
            "OS_PROJECT_NAME": account.project,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": "RegionOne",
            "OS_IDENTITY_API_VERSION": "3",
        }
        for name, value in (given | self.variables).items():
            self._environment.setenv(name, value)

    def _run(self, words: list[str]) -> Said:
        # A process runs one command, and the shell keeps a client for as long as the process lives.
        setattr(ClientManager, plugin.API_NAME, ClientCache(plugin.make_client))
        handlers, level = logging.root.handlers[:], logging.root.level
        try:
            code = OpenStackShell().run(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            # Its handlers would write to what captured the output of an earlier one.
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)
        return Said(code, *self._capsys.readouterr())

    def hybrid(self, *words: str, user: str = "admin") -> Said:
        """Give a command of ours."""
        return self("hybrid", *words, user=user)

    def json(self, *words: str, user: str = "admin") -> Any:
        """Give a command of ours that succeeds, and what it says as JSON."""
        return self.hybrid(*words, "-f", "json", user=user).json
