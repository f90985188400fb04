# SPDX-License-Identifier: Apache-2.0
"""Plug-ins by name. Nothing else uses stevedore."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any

from stevedore import driver
from stevedore.exception import NoMatches


class PluginNotFound(ValueError):
    """There is no plug-in of that name; the message names the ones there are."""


def load(namespace: str, names: Sequence[str], *arguments: object) -> list[tuple[str, Any]]:
    """Make plug-ins.

    :param namespace: of the entry points, for example ``hybrid_sched.monitor.source``.
    :param names: in the order wanted.
    :param arguments: for each plug-in's constructor.
    :returns: name and plug-in, in the order of the names.
    :raises PluginNotFound: when a name is unknown or its code cannot be imported.
    """
    return [(name, _load_one(namespace, name, arguments)) for name in names]


def require(namespace: str, names: Sequence[str]) -> None:
    """See whether plug-ins of these names are installed, without importing them.

    :raises PluginNotFound: when a name is unknown.
    """
    installed = metadata.entry_points(group=namespace).names
    for name in names:
        if name not in installed:
            raise PluginNotFound(
                f"there is no plug-in {name!r} of {namespace}; there are {', '.join(sorted(installed))}"
            )


def _load_one(namespace: str, name: str, arguments: Sequence[object]) -> Any:
    try:
        manager = driver.DriverManager(
            namespace,
            name,
            invoke_on_load=True,
            invoke_args=arguments,
            warn_on_missing_entrypoint=False,
            on_load_failure_callback=_explain,
        )
    except NoMatches:
        raise PluginNotFound(f"there is no plug-in {name!r} of {namespace}") from None
    return manager.driver


def _explain(_manager: object, entry_point: Any, error: Exception) -> None:
    raise PluginNotFound(f"the plug-in {entry_point.name!r} cannot be loaded: {error}") from error
