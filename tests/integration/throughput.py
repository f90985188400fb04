# SPDX-License-Identifier: Apache-2.0
"""How many bytes/s get from one network namespace to another, over real TCP streams.

As a program it is one end of a stream: ``throughput.py receive ADDRESS`` or ``throughput.py send ADDRESS PORT``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

_CHUNK_BYTES = 2**20
# A program starts slowly on an emulated machine.
_CONNECT_TIMEOUT_S = 60


@dataclass(frozen=True)
class Stream:
    """One TCP stream that sends as fast as it may.

    :param sender: words before a command that is to run where the sender is, such as ``ip netns exec NAME``.
    :param receiver: the same, where the receiver is.
    :param address: of the receiver.
    """

    sender: Sequence[str]
    receiver: Sequence[str]
    address: str


def measure(*streams: Stream, window_s: float = 3.0, warm_up_s: float = 1.0) -> list[float]:
    """Run streams at the same time and count what arrives of each in the same window.

    Payload counts; with Ethernet's usual packets it is 95.6 % (1448 of 1514 bytes) of what the kernel counts.

    :param window_s: length of the window, s.
    :param warm_up_s: from the start of the last stream to the window, so that what may pass at once has passed, s.
    :returns: bytes/s of each stream.
    """
    with ExitStack() as stack:
        receivers = []
        for stream in streams:
            receiver = _end(stack, stream.receiver, "receive", stream.address)
            port = _line(receiver)
            _end(stack, stream.sender, "send", stream.address, port)
            assert _line(receiver) == "connected"
            receivers.append(receiver)
        # The clock is the same in all namespaces.
        start_s = time.monotonic() + warm_up_s
        for receiver in receivers:
            assert receiver.stdin is not None
            print(json.dumps([start_s, window_s]), file=receiver.stdin, flush=True)
        return [float(_line(receiver)) for receiver in receivers]


def _end(stack: ExitStack, prefix: Sequence[str], *arguments: str) -> subprocess.Popen[str]:
    """Start one end of a stream; it ends with the stack."""
    process = subprocess.Popen(
        [*prefix, sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, f"{process.args} ended"
    return line


def _receive(address: str) -> None:
    """Take one connection; tell the port, then that it is there, then bytes/s of the window that comes in on stdin."""
    with socket.create_server((address, 0)) as server:
        server.settimeout(_CONNECT_TIMEOUT_S)
        _say(server.getsockname()[1])
        connection, _ = server.accept()
    _say("connected")
    buffer = bytearray(_CHUNK_BYTES)
    with connection:
        start_s, window_s = json.loads(sys.stdin.readline())
        _take(connection, buffer, start_s)
        began_s = time.monotonic()
        taken = _take(connection, buffer, start_s + window_s)
        _say(taken / (time.monotonic() - began_s))


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _take(connection: socket.socket, buffer: bytearray, until_s: float) -> int:
    """Take what comes until a moment, and give the number of bytes."""
    taken = 0
    while (left_s := until_s - time.monotonic()) > 0:
        connection.settimeout(left_s)
        with suppress(TimeoutError):
            taken += connection.recv_into(buffer)
    return taken


def _send(address: str, port: str) -> None:
    """Send until nobody takes it any more."""
    chunk = bytes(_CHUNK_BYTES)
    with (
        socket.create_connection((address, int(port)), timeout=_CONNECT_TIMEOUT_S) as connection,
        suppress(ConnectionError),
    ):
        connection.settimeout(None)
        while True:
            connection.sendall(chunk)


if __name__ == "__main__":
    {"receive": _receive, "send": _send}[sys.argv[1]](*sys.argv[2:])
