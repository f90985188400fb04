# SPDX-License-Identifier: Apache-2.0
"""In whose name tasks are launched: in that of the operator, or by a trust in that of whoever declared them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.interfaces.launcher import Launcher


class Account(NamedTuple):
    """One service as it is asked in one name.

    :param framework: whose service.
    :param trust_id: of the trust; empty for the operator.
    """

    framework: str
    trust_id: str = ""

    def __str__(self) -> str:
        return f"{self.framework} by trust {self.trust_id}" if self.trust_id else self.framework


#: Makes the launcher of a framework for a trust; None where there are no credentials.
MakeTrusted = Callable[[str, str], Launcher | None]


def account_of(task: QueuedTask) -> Account:
    """Say in whose name a task is launched."""
    return Account(task.framework, task.trust_id)


def no_trusted(_framework: str, _trust_id: str) -> None:
    """Give no launcher, where there are no credentials for trusts."""


class Accounts:
    """The launchers of all accounts.

    :param operator: by framework; a framework that is missing has no credentials.
    :param make_trusted: makes those for trusts.
    """

    def __init__(
        self, operator: Mapping[str, Launcher], make_trusted: MakeTrusted = no_trusted
    ) -> None:
        self._operator = operator
        self._make_trusted = make_trusted
        self._trusted: dict[Account, Launcher | None] = {}

    def __getitem__(self, account: Account) -> Launcher:
        """Give a launcher.

        :raises KeyError: without credentials.
        """
        found = self.get(account)
        if found is None:
            raise KeyError(account)
        return found

    def get(self, account: Account) -> Launcher | None:
        """Give a launcher; None without credentials."""
        if not account.trust_id:
            return self._operator.get(account.framework)
        if account not in self._trusted:
            self._trusted[account] = self._make_trusted(*account)
        return self._trusted[account]

    def of_operator(self) -> list[Account]:
        """List the accounts of the operator."""
        return [Account(framework) for framework in self._operator]

    def forget(self, trust_id: str) -> None:
        """Keep nothing of a trust that is over."""
        self._trusted = {
            account: launcher
            for account, launcher in self._trusted.items()
            if account.trust_id != trust_id
        }
