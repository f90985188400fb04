# SPDX-License-Identifier: Apache-2.0
"""Doors to the broker that can be slammed: connections that break while the broker itself lives on."""

from __future__ import annotations

import asyncio
import contextlib
import threading

_BLOCK = 65536


class Doors:
    """TCP proxies on loopback, by name, that lead to one port.

    :param port: of the broker.
    :param names: of the parties that each get a door of their own.
    """

    def __init__(self, port: int, names: tuple[str, ...]) -> None:
        self._port = port
        self._through: dict[str, set[asyncio.StreamWriter]] = {name: set() for name in names}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="doors", daemon=True)
        self._thread.start()
        self._servers = {name: self._run(self._listen(name)) for name in names}

    def url(self, name: str) -> str:
        """Give the transport URL that leads through a door."""
        port = self._servers[name].sockets[0].getsockname()[1]
        return f"rabbit://guest:guest@127.0.0.1:{port}/"

    def slam(self, name: str) -> None:
        """Break all connections of one party, without a word to either end."""

        async def abort() -> None:
            for writer in self._through[name]:
                writer.transport.abort()

        self._run(abort())

    def close(self) -> None:
        """Shut all doors for good."""
        for name, server in self._servers.items():
            self._loop.call_soon_threadsafe(server.close)
            self.slam(name)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, name: str) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                beyond, back = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                writer.transport.abort()
                return
            pair = {writer, back}
            self._through[name] |= pair
            try:
                await asyncio.gather(_pump(reader, back), _pump(beyond, writer))
            finally:
                self._through[name] -= pair

        return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await source.read(_BLOCK):
            sink.write(block)
            await sink.drain()
    # Whichever way ended, the other end learns of it as of a connection that broke.
    sink.transport.abort()
