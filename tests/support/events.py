"""A reader of ``GET /api/events``, independent of the daemon's code, and the state that it builds from the events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from monitor.daemon.app import Daemon
from tests.support.limits import WAIT_TIMEOUT_S

Json = dict[str, Any]


class Reader:
    """``last_id``: of the last event. ``controllers``, ``images``, ``upgrades``: the state after the events so far."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id = ""
        self.heartbeats = 0
        self.kinds: list[str] = []
        self.controllers: dict[str, Json] = {}
        self.reads: dict[tuple[str, str], Json] = {}
        self.upgrades: dict[str, Json] = {}
        self.objects: dict[tuple[str, str, str], Json] = {}

    async def next(self) -> Json | None:
        """Read and apply the next event; None at the end of the stream."""
        kind, data = "message", ""
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while line := (await self.response.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if line == "\n" and data:
                    return self._apply(kind, json.loads(data))
                match name:
                    case "event":
                        kind = value
                    case "data":
                        data = value
                    case "id":
                        self.last_id = value
                    case _:
                        self.heartbeats += line == ": \n"
        return None

    async def until(self, condition: Callable[["Reader"], bool]) -> None:
        """Read until the condition is true; the stream must not end before."""
        while not condition(self):
            assert await self.next() is not None

    @property
    def images(self) -> dict[tuple[str, str], Json]:
        """The images by controller and uuid."""
        return {(name, uuid): each for (name, resource, uuid), each in self.objects.items() if resource == "image"}

    def image(self, uuid: str) -> Json:
        """An image of any controller."""
        return next((image for (_, known), image in self.images.items() if known == uuid), {})

    def _apply(self, kind: str, message: Json) -> Json:
        self.kinds.append(kind)
        if kind == "state":
            self.controllers.clear()
            self.reads.clear()
            self.upgrades.clear()
            self.objects.clear()
        for part in message["parts"] if kind == "state" else [message["part"]]:
            self._apply_part(part)
        return message

    def _apply_part(self, part: Json) -> None:
        name = part["controller"]
        if part.get("removed"):
            del self.controllers[name]
            self.upgrades.pop(name, None)
            self.objects = {key: each for key, each in self.objects.items() if key[0] != name}
        if session := part.get("session"):
            self.controllers[name] = session
        if upgrade := part.get("upgrade"):
            self.upgrades[name] = upgrade
        for resource, told in part.get("resources", {}).items():
            if health := told.get("health"):
                self.reads[name, resource] = health
            self.objects |= {(name, resource, each["uuid"]): each for each in told.get("objects", ())}
            for uuid in told.get("gone", ()):
                del self.objects[name, resource, uuid]


@asynccontextmanager
async def reading(daemon: Daemon, *, token: str = "", **headers: str) -> AsyncIterator[Reader]:
    """One reader; ``headers``: as ``operators.ask``."""
    sent: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent = {**sent, "Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**22) as http,
        http.get(f"{daemon.url}/api/events", headers=sent) as response,
    ):
        yield Reader(response)
