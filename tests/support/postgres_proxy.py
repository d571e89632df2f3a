"""A network between a daemon and PostgreSQL that breaks at a chosen moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from tests.support.postgres import Server

Cut = Literal["before", "after"]
"""Before or after the server has received what the client sends."""


class PostgresProxy:
    """
    Passes all bytes on, unless told otherwise.

    ``cut_commit``: the next commit is cut off, once, before the server has received it or after it has answered. All
    other connections break with it.
    """

    def __init__(self, server: Server) -> None:
        self._path = f"{server.folder}/.s.PGSQL.5432"
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._answered = asyncio.Event()
        self.cut_commit: Cut | None = None

    def hold(self) -> None:
        """Pass nothing on any more, as a firewall that drops everything."""
        self._open.clear()

    def break_all(self) -> None:
        """Close all connections, and pass on what comes by new ones."""
        for writer in self._writers:
            writer.transport.abort()
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the daemon."""
        try:
            answers, requests = await asyncio.open_unix_connection(self._path)
        except OSError:  # the server is down
            writer.transport.abort()
            return
        pair = {writer, requests}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_requests(reader, requests), name="requests")
                tasks.create_task(self._pass_answers(answers, writer), name="answers")
        except* OSError:
            pass
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(65536):
            if self.cut_commit and b"COMMIT" in sent:
                cut, self.cut_commit = self.cut_commit, None
                if cut == "after":
                    self._answered.clear()
                    self.hold()
                    writer.write(sent)
                    await self._answered.wait()
                self.break_all()
                raise ConnectionResetError
            await self._open.wait()
            writer.write(sent)
            await writer.drain()
        raise ConnectionResetError

    async def _pass_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(65536):
            if not self._open.is_set():
                self._answered.set()
            await self._open.wait()
            writer.write(sent)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def proxied(server: Server) -> AsyncIterator[tuple[PostgresProxy, int]]:
    """A proxy before the server, and the port on loopback where it listens."""
    proxy = PostgresProxy(server)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as listener:
        try:
            yield proxy, listener.sockets[0].getsockname()[1]
        finally:
            proxy.break_all()
