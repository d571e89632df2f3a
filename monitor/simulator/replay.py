"""A recorded Controller over real HTTP or HTTPS: at each simulated time it answers as the Controller did."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from aiohttp import web

from monitor.simulator.clock import Clock
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.http_io import read_request, send
from monitor.simulator.http_types import ApiError, HttpRequest, HttpResponse, json_response, plain_401
from monitor.simulator.listener import Listener
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.recording import Asked, Outcome, Recording
from monitor.simulator.sessions import NotAuthenticated, Sessions
from monitor.simulator.specs import Account, ControllerSpec

NAME = "dc1"
"""Recordings name no controller; the scenarios of one Controller have this one, too."""

_LOG_IN: Asked = ("POST", "/login", ())
_PUBLIC = frozenset({"/api/initial-data", "/api/cluster/status"})
_CLOSED = Delivery(HttpResponse(200), send_bytes=0, close="fin")


class ReplayedController:
    """
    The Controller of one recording.

    Its one account is the demo's. Where the recorded Controller ended its sessions, it ends those that there are.
    """

    def __init__(
        self, recording: Recording, *, seed: str, clock: Clock, host: str, port: int, tls: ssl.SSLContext | None
    ) -> None:
        spec, rng = ControllerSpec(name=NAME), SeededRandom(f"{seed}:{NAME}")
        self.name = NAME
        self.username, self.password = spec.username, rng.token()
        self.listener = Listener(self._handle, host, port, tls)
        self._recording = recording
        self._clock = clock
        account = Account(username=self.username, password=self.password)
        self._sessions = Sessions(spec, [account], rng, clock.monotonic, secure=tls is not None)
        self._ended_sessions = 0
        self._moved = asyncio.Event()

    @property
    def url(self) -> str:
        """The URL at which it listens, or will listen again."""
        return self.listener.url

    async def run(self) -> None:
        """Refuse connections when the recorded Controller did, for ever."""
        while True:
            now = self._clock.now()
            if self._recording.refuses(now) != self.listener.listening:
                await self._clock.wait_for_jump(until=self._recording.refuses_until(now))
                continue
            await (self.listener.close() if self.listener.listening else self.listener.open())
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    async def wait_applied(self) -> None:
        """Return when connections are refused, or not, as at the time of the clock."""
        while self._recording.refuses(self._clock.now()) == self.listener.listening:
            await self._moved.wait()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        return await send(incoming, await self._deliver(await read_request(incoming)))

    async def _deliver(self, request: HttpRequest) -> Delivery:
        asked = request.method, request.path, tuple(sorted(request.query))
        outcome = self._outcome(request, asked)
        while outcome == "silent":
            await self._clock.wait_for_jump(until=self._recording.changes_at(asked, self._clock.now()))
            outcome = self._outcome(request, asked)
        return Delivery(outcome) if isinstance(outcome, HttpResponse) else _CLOSED

    def _outcome(self, request: HttpRequest, asked: Asked) -> Outcome:
        now = self._clock.now()
        ended = self._recording.ended_sessions(now)
        if ended > self._ended_sessions:
            self._sessions.expire()
        self._ended_sessions = ended
        if self._recording.refuses(now):  # the clock jumped; the listener is about to be closed
            return "refused"
        if asked[:2] == ("POST", "/logout"):
            return self._log_out(request)
        recorded = self._recording.outcome(asked, now)
        if recorded is None:
            recorded = json_response({"error": "There is no answer to this request in the recording"}, status=404)
        if not isinstance(recorded, HttpResponse) or recorded.status == 429 or recorded.status >= 500:
            return recorded
        if asked == _LOG_IN:
            return self._log_in(request, recorded)
        return recorded if request.path in _PUBLIC else self._in_session(request, recorded)

    def _log_in(self, request: HttpRequest, recorded: HttpResponse) -> HttpResponse:
        if recorded.status != 200:
            return recorded
        form = parse_qs(request.body.decode(errors="replace"))
        try:
            session = self._sessions.log_in(form.get("username", [""])[0], form.get("password", [""])[0])
        except ApiError as error:
            return error.response()
        return recorded.with_headers(*session.cookies)

    def _log_out(self, request: HttpRequest) -> HttpResponse:
        if session := self._sessions.find(request.cookies):
            self._sessions.log_out(session)
        return json_response({})

    def _in_session(self, request: HttpRequest, recorded: HttpResponse) -> HttpResponse:
        try:
            session = self._sessions.authenticate(request)
        except NotAuthenticated as error:
            return plain_401(error.text)
        return recorded.with_headers(*session.cookies)


class Replay:
    """
    A recording in the running event loop, listening from ``async with`` to its end.

    The simulated time starts when the recording did. ``speed`` 0: time stands still until the clock is advanced. After
    the end of the recording, the last answers are repeated. ``controllers``: one, by its name.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float = 1.0,
        seed: int | str = 7,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = Clock(start=recording.started_at, speed=speed, monotonic=monotonic)
        self.controllers = {
            NAME: ReplayedController(recording, seed=str(seed), clock=self.clock, host=host, port=port, tls=tls)
        }
        self._exit_stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        (controller,) = self.controllers.values()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(controller.listener.release)
            await controller.listener.open()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(tasks.create_task(controller.run(), name="replay").cancel)
            self._exit_stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit_stack.aclose()

    async def wait_timelines(self) -> None:
        """Return when connections are refused, or not, as recorded; for use after the clock was advanced."""
        for controller in self.controllers.values():
            await controller.wait_applied()
