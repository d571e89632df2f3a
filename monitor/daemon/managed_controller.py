"""One configured controller with what works for it, and what is done with several of them at the end."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Final

from msgspec import Struct

from monitor.avi.client import Client
from monitor.config.types import Controller
from monitor.patching.client import InFlightClient
from monitor.polling.poller import Poller

_LAST_POLL_TIMEOUT_S: Final = 2.0  # of the polls under way when a reload stops them


class ManagedController(Struct, eq=False):
    """
    One controller with its clients and its poller.

    ``writer``: the client for PATCHes: ``client``, or one that is logged in with the account of ``write``.
    ``timeout_s``: of one request. ``polling_task``: runs the poller. ``closing_task``: closes the sessions after the
    PATCH in flight.
    """

    controller: Controller
    client: InFlightClient
    writer: InFlightClient
    poller: Poller
    sessions: AsyncExitStack
    timeout_s: float
    polling_task: asyncio.Task[None] | None = None
    closing_task: asyncio.Task[None] | None = None

    def is_of(self, controller: Controller) -> bool:
        """Whether both mean the same Controller and tenant, whatever the other settings are."""
        return (self.controller.url, self.controller.tenant) == (controller.url, controller.tenant)


async def stop_polling(closing: list[ManagedController]) -> None:
    """Stop polling, and wait for the tasks: only one poller may write the entry of a controller."""
    for managed in closing:
        managed.poller.retire()
    if tasks := [managed.polling_task for managed in closing if managed.polling_task]:
        _, slow = await asyncio.wait(tasks, timeout=_LAST_POLL_TIMEOUT_S)
        for task in slow:
            task.cancel()
        await asyncio.wait(tasks)


def clients_of(closing: Iterable[ManagedController]) -> Iterator[Client]:
    """Return all clients, each once."""
    for managed in closing:
        yield from {managed.client, managed.writer}
