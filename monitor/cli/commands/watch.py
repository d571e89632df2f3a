"""``watch``: show the images as they change, until a state is reached, the timeout is over, or a signal comes."""

import asyncio
import signal
import threading
import time
from contextlib import aclosing, suppress
from random import Random  # noqa: TID251  the one rng of the process
from typing import Literal

import click

from monitor.cli.options import stream_command
from monitor.cli.params import Access, Duration, OutputFormat, Utf8Text


@click.command()
@click.option("--image", type=Utf8Text(), default="", help="Only this image: its uuid or name.")
@click.option("--controller", type=Utf8Text(), default="", help="Only the images of this controller.")
@click.option("--until", type=click.Choice(["completed", "failed"]), help="End when the image is in this state.")
@click.option("--timeout", "timeout_s", type=Duration(), help="The timeout of the whole command.  [default: none]")
@stream_command
async def watch(
    access: Access,
    output: OutputFormat,
    *,
    image: str,
    controller: str,
    until: Literal["completed", "failed"] | None,
    timeout_s: float | None,
) -> None:
    """
    Show the images of all controllers as they change; or wait for one of them.

    With --until, the exit code is 0 when the image is in that state, 1 when it can no longer reach it, and 3 when the
    timeout is over. If the image does not exist yet, the command waits for it.
    """
    # Imported before the timeout starts: slow imports must not count as waiting.
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.api.subscription import subscribe  # noqa: PLC0415
    from monitor.cli.output.display import open_display  # noqa: PLC0415  it imports rich
    from monitor.cli.output.target import Target  # noqa: PLC0415
    from monitor.cli.output.watcher import Watcher  # noqa: PLC0415

    if until and not image:
        raise click.UsageError("--until needs --image")
    with open_display(output, time.monotonic) as display:
        watcher = Watcher(Target(image, controller), until, display, time.monotonic)
        stopped = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                _end_on_signals(deadline, stopped)
                async with connect(access) as client, aclosing(subscribe(client, Random())) as items:  # noqa: S311  jitter
                    async for item in items:
                        if watcher.handle(item):
                            return
        except TimeoutError:
            if not stopped.is_set():
                raise watcher.timeout_error() from None
            if until:
                raise click.Abort from None  # the state was not reached: a script must not continue


def _end_on_signals(deadline: asyncio.Timeout, stopped: asyncio.Event) -> None:
    """
    Let a signal move the deadline to now, so that the display is closed and the cursor is visible again.

    Only the main thread can handle signals. A SIGHUP that ``nohup`` ignores stays ignored.
    """
    loop = asyncio.get_running_loop()

    def end() -> None:
        stopped.set()
        with suppress(RuntimeError):  # the timeout has ended already
            deadline.reschedule(loop.time())

    if threading.current_thread() is threading.main_thread():
        handles_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if handles_hangup else [])):
            loop.add_signal_handler(number, end)
