"""``watch``: the fleet or one image as it changes, until a state is reached, the time is over, or somebody ends it."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from random import Random  # noqa: TID251  the one rng of the process

import click
from msgspec import Struct
from msgspec.structs import replace

from monitor.cli.api.client import calling
from monitor.cli.api.responses import ConnectionLost, WaitTimeout
from monitor.cli.api.subscription import Opened, follow
from monitor.cli.api.view import Change, Message, apply
from monitor.cli.options import Access, Output
from monitor.cli.output.display import Display, showing
from monitor.cli.output.target import Scene, Until, Wanted, concerns, find, late, reached
from monitor.config.validation import quoted


class Order(Struct, frozen=True):
    """``until``: the state that is waited for; None: none is. ``patience_s``: how long in all; None: for ever."""

    wanted: Wanted
    until: Until | None = None
    patience_s: float | None = None


async def watch(access: Access, output: Output, order: Order) -> None:
    """
    Show what changes.

    Raises: TargetFailed, WaitTimeout, ServerError; Rejected, also when several images are meant; Abort when a signal
    ends a wait.
    """
    with showing(output, time.monotonic) as display:
        watcher = Watcher(order, display, time.monotonic)
        stopped = asyncio.Event()
        try:
            async with asyncio.timeout(order.patience_s) as limit:
                _end_on_signals(limit, stopped)
                await _listen(access, watcher)
        except TimeoutError:
            if not stopped.is_set():
                raise watcher.late() from None
            if order.until:
                raise click.Abort from None  # what it waited for was not reached: no script may go on


def _end_on_signals(limit: asyncio.Timeout, stopped: asyncio.Event) -> None:
    """
    Let the signals that end a command end the time there is.

    Only the main thread is told of signals, and has to be: else it would die and leave a terminal without a cursor.
    A hang-up that ``nohup`` wants ignored stays ignored.
    """
    loop = asyncio.get_running_loop()

    def end() -> None:
        stopped.set()
        with suppress(RuntimeError):  # it is over already
            limit.reschedule(loop.time())

    if threading.current_thread() is threading.main_thread():
        minds = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if minds else [])):
            loop.add_signal_handler(number, end)


async def _listen(access: Access, watcher: "Watcher") -> None:
    """Until it is reached."""
    async with calling(access) as remote, aclosing(follow(remote, Random())) as heard:  # noqa: S311  jitter is no secret
        async for each in heard:
            if isinstance(each, Opened):
                watcher.open()
            elif isinstance(each, ConnectionLost):
                watcher.lose(str(each))
            elif watcher.hear(each):
                return


class Watcher:
    """What has been heard so far, on its way to the display. ``monotonic``: the reader's own clock."""

    def __init__(self, order: Order, display: Display, monotonic: Callable[[], float]) -> None:
        self._order = order
        self._display = display
        self._monotonic = monotonic
        self._scene = Scene(order.wanted)
        self._waits = False

    def open(self) -> None:
        """There is a connection."""
        if self._scene.lost:
            self._scene = replace(self._scene, lost="")
            self._show(())
            self._display.tell("connected again")

    def lose(self, why: str) -> None:
        """There is none any more, or still none."""
        if not self._scene.lost:
            self._display.tell(f"connection lost, trying again: {why}")
        self._scene = replace(self._scene, lost=why)
        self._show(())

    def hear(self, message: Message) -> bool:
        """
        Whether what is waited for is reached.

        Raises: TargetFailed; Rejected when several images are meant; ServerError for an image that cannot be read.
        """
        scene, wanted, until = self._scene, self._order.wanted, self._order.until
        view, changes = apply(scene.view, message, at=self._monotonic())
        stays = scene.key and (until or view.told(scene.key))
        key = scene.key if stays else find(view, wanted)
        self._scene = replace(scene, view=view, key=key)
        keys = {key, scene.key} - {None} or {None}
        self._show([change for change in changes if any(concerns(change, wanted, each) for each in keys)])
        self._say_that_it_waits()
        return until is not None and key is not None and reached(view, key, until)

    def late(self) -> WaitTimeout:
        """What to say when the time is over."""
        scene = self._scene
        if scene.view.ahead_s is None:
            return WaitTimeout(
                "the time is over: no answer of the daemon's yet" + (f": {scene.lost}" if scene.lost else "")
            )
        return late(scene.view, scene.wanted, scene.key, now=self._now(), lost=scene.lost)

    def _now(self) -> float:
        """By the daemon's clock."""
        return (self._scene.view.ahead_s or 0.0) + self._monotonic()

    def _show(self, changes: "list[Change] | tuple[()]") -> None:
        self._display.show(self._scene, changes, now=self._now())

    def _say_that_it_waits(self) -> None:
        """Once: an upload that has just begun is seen at the next poll."""
        if self._order.wanted.image and self._scene.key is None and not self._waits:
            self._waits = True
            self._display.tell(f"no image of the uuid or name {quoted(self._order.wanted.image)} yet; waiting for it")
