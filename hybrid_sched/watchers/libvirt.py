# SPDX-License-Identifier: Apache-2.0
"""Guests, through libvirt's events."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import libvirt

from hybrid_sched.interfaces.watcher import Happening, Kind, Watcher, WatchError

_EVENTS = (
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
)
#: The loop looks up that often, to see whether it is to end.
_LOOK_UP_MS = 500
#: libvirt is given up when it has not answered two questions after this many seconds each.
_KEEPALIVE_S, _KEEPALIVE_COUNT = 5, 2


class LibvirtWatcher(Watcher):
    """Starts, ends, changed devices and changed limits of guests."""

    #: libvirt has one event loop in a process, and takes it once.
    _registering = threading.Lock()
    _registered = False

    def watch(self, tell: Callable[[Happening], None], stopping: threading.Event) -> None:
        """Run libvirt's event loop until the connection breaks."""
        uri = self._conf.agent.libvirt_uri
        try:
            self._register_loop()
            connection = libvirt.openReadOnly(uri)
        except libvirt.libvirtError as error:
            raise WatchError(
                f"libvirt at {uri} does not tell of events: {error}. See that it runs and that [agent] libvirt_uri is right."
            ) from None
        try:
            self._follow(connection, tell, stopping)
        except libvirt.libvirtError as error:
            raise WatchError(f"libvirt at {uri} does not tell of events: {error}.") from None
        finally:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()
        if not stopping.is_set():
            raise WatchError(
                f"libvirt at {uri} has ended the connection, as it does when it is restarted."
            )

    def _register_loop(self) -> None:
        with self._registering:
            if not LibvirtWatcher._registered:
                # Errors come as exceptions; libvirt would print them to stderr as well.
                libvirt.registerErrorHandler(lambda _context, _error: None, None)
                libvirt.virEventRegisterDefaultImpl()
                LibvirtWatcher._registered = True

    def _follow(
        self, connection: Any, tell: Callable[[Happening], None], stopping: threading.Event
    ) -> None:
        broken = threading.Event()
        connection.registerCloseCallback(lambda *_: broken.set(), None)
        # A driver inside this process cannot be away.
        with contextlib.suppress(libvirt.libvirtError):
            connection.setKeepAlive(_KEEPALIVE_S, _KEEPALIVE_COUNT)

        def happened(_connection: Any, domain: Any, *_details: Any) -> None:
            tell(Happening(Kind.CHANGED, domain.UUIDString()))

        registered = [
            connection.domainEventRegisterAny(None, event, happened, None) for event in _EVENTS
        ]
        timer = libvirt.virEventAddTimeout(_LOOK_UP_MS, lambda *_: None, None)
        try:
            tell(Happening(Kind.LISTENING))
            while not stopping.is_set() and not broken.is_set():
                libvirt.virEventRunDefaultImpl()
        finally:
            libvirt.virEventRemoveTimeout(timer)
            for number in registered:
                with contextlib.suppress(libvirt.libvirtError):
                    connection.domainEventDeregisterAny(number)
            with contextlib.suppress(libvirt.libvirtError):
                connection.unregisterCloseCallback()
