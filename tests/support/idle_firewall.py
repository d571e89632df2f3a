"""A stateful firewall in miniature, in front of one Controller, that forgets its flows when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from yarl import URL


class IdleFirewall:
    """
    Passes bytes on in both directions.

    What either side sends on a flow that was forgotten is dropped in silence: the other side gets no byte, no FIN and
    no RST.
    """

    def __init__(self, target: str) -> None:
        self._target = URL(target)
        self._generation = 0
        self._ends: list[asyncio.StreamWriter] = []
        self.url = ""

    def forget(self) -> None:
        """Forget all flows that are open now; new ones work."""
        self._generation += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one flow, until both sides have closed it."""
        opened_in = self._generation
        there, back = await asyncio.open_connection(self._target.host, self._target.port)
        self._ends += writer, back
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_on(reader, back, opened_in), name="to-controller")
            tasks.create_task(self._pass_on(there, writer, opened_in), name="to-client")

    async def close(self) -> None:
        """Close all flows."""
        for end in self._ends:
            end.close()
        for end in self._ends:
            with suppress(ConnectionError):
                await end.wait_closed()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, opened_in: int) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if opened_in == self._generation:
                    sink.write(data)
                    await sink.drain()
        if opened_in == self._generation:
            sink.close()


@asynccontextmanager
async def idle_firewall(target: str) -> AsyncIterator[IdleFirewall]:
    """Listen in front of the Controller with this URL for as long as the context lasts."""
    firewall = IdleFirewall(target)
    server = await asyncio.start_server(firewall.serve, "127.0.0.1", 0)
    firewall.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield firewall
    finally:
        server.close()
        await firewall.close()
