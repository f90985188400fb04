# SPDX-License-Identifier: Apache-2.0
"""A guest as the kernel sees it: a program that reads and writes the frames of a real tap, as QEMU does."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType

from namespaces import Namespace, ip

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 2, 0x1000
_HOST, _GUEST = "10.11.0.1", "10.11.0.2"
_GUEST_MAC = "02:00:00:00:00:02"
_PORT = 9
_PAYLOAD = bytes(1400)
_WARM_UP_S, _WINDOW_S = 1.0, 3.0


class TapGuest:
    """A tap in a namespace, in which this thread must be, and who is behind it; gone at the end of the ``with``.

    :param host: the namespace.
    :param link: name of the tap.
    """

    def __init__(self, host: Namespace, link: str) -> None:
        self._host = host
        self._link = link
        self._tap = -1

    def __enter__(self) -> TapGuest:
        self._tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(
            self._tap,
            _TUNSETIFF,
            struct.pack("16sH22x", self._link.encode(), _IFF_TAP | _IFF_NO_PI),
        )
        self._host.up(self._link, f"{_HOST}/24")
        ip(
            *("-n", self._host.name, "neighbour", "add", _GUEST),
            *("lladdr", _GUEST_MAC, "dev", self._link),
        )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        os.close(self._tap)

    def receives(self) -> float:
        """Have the host send all it can to the guest, and give the bytes/s of the frames that arrive."""
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
            _Repeat(lambda: sender.sendto(_PAYLOAD, (_GUEST, _PORT))),
        ):
            sender.setblocking(False)
            return _count(self._tap, lambda: len(os.read(self._tap, 65536)))

    def sends(self) -> float:
        """Have the guest send all it can to the host, and give the bytes/s of the frames whose payload arrives there."""
        frame = self._frame()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind((_HOST, _PORT))
            receiver.setblocking(False)
            headers = len(frame) - len(_PAYLOAD)
            with _Repeat(lambda: os.write(self._tap, frame)):
                return _count(receiver, lambda: len(receiver.recv(65536)) + headers)

    def _frame(self) -> bytes:
        """Make an Ethernet frame of the guest with an IPv4 packet with a UDP datagram, whose checksum is left out."""
        (link,) = json.loads(ip("-n", self._host.name, "-json", "link", "show", self._link))
        udp = struct.pack("!4H", _PORT, _PORT, 8 + len(_PAYLOAD), 0) + _PAYLOAD
        addresses = socket.inet_aton(_GUEST) + socket.inet_aton(_HOST)
        header = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(udp), 0, 64, socket.IPPROTO_UDP, 0)
        words = struct.unpack("!10H", header + addresses)
        total = sum(words)
        checksum = struct.pack("!H", 0xFFFF - (total % 0xFFFF))
        ethernet = _mac(link["address"]) + _mac(_GUEST_MAC) + struct.pack("!H", 0x0800)
        return ethernet + header[:10] + checksum + addresses + udp


def _mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


class _Repeat:
    """Do something as often as it can be done, in a thread, to the end of the ``with``."""

    def __init__(self, step: Callable[[], object]) -> None:
        self._step = step
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                self._step()
            except BlockingIOError:
                time.sleep(0.001)


def _count(source: int | socket.socket, take: Callable[[], int]) -> float:
    """Take what comes, and give the bytes/s of it in a window after what may pass at once has passed."""
    start_s = time.monotonic() + _WARM_UP_S
    end_s = start_s + _WINDOW_S
    taken = 0
    while (left_s := end_s - time.monotonic()) > 0:
        if select.select([source], [], [], left_s)[0]:
            size = take()
            taken += size if time.monotonic() >= start_s else 0
    return taken / _WINDOW_S
