# SPDX-License-Identifier: Apache-2.0
"""Containers, through the event stream of the Docker API."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

import docker
import requests
from docker.errors import DockerException

from hybrid_sched.interfaces.watcher import Happening, Kind, Watcher, WatchError

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10
_KINDS = {
    "start": Kind.CHANGED,
    "update": Kind.CHANGED,
    "die": Kind.CHANGED,
    "oom": Kind.OOM_KILL,
}


class DockerWatcher(Watcher):
    """Starts, ends, updates and OOM kills of Zun's containers."""

    def watch(self, tell: Callable[[Happening], None], stopping: threading.Event) -> None:
        """Follow the stream until Docker ends it."""
        url = self._conf.agent.docker_url
        try:
            with contextlib.closing(docker.APIClient(base_url=url, timeout=_TIMEOUT_S)) as client:
                filters = {"type": "container", "event": list(_KINDS)}
                stream = client.events(decode=True, filters=filters)
                tell(Happening(Kind.LISTENING))
                ended = threading.Event()
                closer = threading.Thread(
                    target=_close, args=(stream, stopping, ended), daemon=True
                )
                closer.start()
                try:
                    for event in stream:
                        happening = happening_of(event)
                        if happening is not None:
                            tell(happening)
                finally:
                    ended.set()
                    closer.join()
        except (DockerException, requests.RequestException, ValueError) as error:
            raise WatchError(
                f"Docker at {url} does not tell of events: {error}. See that it runs and that [agent] docker_url is right."
            ) from None
        if not stopping.is_set():
            raise WatchError(
                f"Docker at {url} has ended its events, as it does when it is restarted."
            )


def happening_of(event: Mapping[str, Any]) -> Happening | None:
    """Read an event; None for one that is not of Zun's containers, or tells nothing of interest.

    :param event: of Docker's stream.
    """
    actor = event.get("Actor") or {}
    name = str((actor.get("Attributes") or {}).get("name", ""))
    kind = _KINDS.get(str(event.get("Action", "")))
    if kind is None or not name.startswith(_ZUN_PREFIX):
        return None
    return Happening(kind, name.removeprefix(_ZUN_PREFIX))


def _close(stream: Any, stopping: threading.Event, ended: threading.Event) -> None:
    """End the stream when told to stop: its reader waits for Docker, however long that is silent."""
    while not ended.is_set():
        if stopping.wait(0.5):
            with contextlib.suppress(Exception):
                stream.close()
            return
