"""``watch``: show images or upgrades as they change, until what is waited for, the timeout or a signal comes."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from random import Random  # noqa: TID251  the one rng of the process
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from monitor.cli.options import stream_command
from monitor.cli.output.upgrade_wait import BEGIN_WITHIN_S, UpgradeGoal, Wait
from monitor.cli.params import Access, Duration, OutputFormat, TargetVersion, Utf8Text

if TYPE_CHECKING:
    from monitor.cli.api.subscription import StreamItem
    from monitor.cli.output.watch_state import UpgradeTarget
    from monitor.cli.output.watcher import Watcher

ImageGoal = Literal["completed", "failed"]


def _upgrade_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that need ``--upgrade`` and ``--until``."""
    options = (
        click.option(
            "--version",
            type=TargetVersion(),
            default="",
            help="The version that is wanted, also if it was there before.",
        ),
        click.option(
            "--begin-within", "begin_within_s", type=Duration(), help="How long it may take to begin.  [default: 10m]"
        ),
        click.option("--strict", is_flag=True, help="With --until checked: a warning is a failure, too."),
        click.option(
            "--through",
            type=click.Choice(["suspended"]),
            help="Wait while units are suspended, which else is a failure.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.option("--image", type=Utf8Text(), default="", help="Only this image: its uuid or name.")
@click.option(
    "--upgrade",
    "unit",
    type=Utf8Text(),
    is_flag=False,
    flag_value="",
    metavar="[UNIT]",
    help="Upgrades instead of images; of UNIT only: its uuid, group@cloud, name, or the name of a controller.",
)
@click.option("--controller", type=Utf8Text(), default="", help="Only what this controller has.")
@click.option(
    "--until",
    type=click.Choice(["completed", "failed", "checked", "controllers"]),
    help="End when the image is completed or failed, or when the pre-checks of the upgrade, its Controllers, or all of"
    " it are done.",
)
@_upgrade_options
@click.option("--timeout", "timeout_s", type=Duration(), help="The timeout of the whole command.  [default: none]")
@stream_command
async def watch(
    access: Access,
    output: OutputFormat,
    *,
    image: str,
    unit: str | None,
    controller: str,
    until: Literal["completed", "failed", "checked", "controllers"] | None,
    timeout_s: float | None,
    **wanted: Any,  # noqa: ANN401  those of _upgrade_options
) -> None:
    """
    Show images or upgrades as they change; or wait for one of them.

    With --until, the exit code is 0 when the state is reached, 1 when it can no longer be, and 3 when the timeout is
    over or no upgrade has begun. An image that does not exist yet, and a Controller that is away, are waited for.
    """
    # Imported before the timeout starts: slow imports must not count as waiting.
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.api.subscription import subscribe  # noqa: PLC0415
    from monitor.cli.output.display import open_display  # noqa: PLC0415  it imports rich
    from monitor.cli.output.watch_state import Target  # noqa: PLC0415
    from monitor.cli.output.watcher import Watcher  # noqa: PLC0415

    target: Target | UpgradeTarget
    goal: ImageGoal | None = None
    if unit is None:
        goal = _image_goal(image, until, wanted)
        target = Target(image, controller)
    else:
        target = _upgrade_target(image, unit, controller, until, wanted)
    with open_display(output, time.monotonic) as display:
        watcher = Watcher(target, goal, display, time.monotonic)
        stopped = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                _end_on_signals(deadline, stopped)
                async with connect(access) as client, aclosing(subscribe(client, Random())) as items:  # noqa: S311  jitter
                    await _follow(items, watcher, deadline, stopped)
        except TimeoutError:
            if not stopped.is_set():
                raise watcher.timeout_error() from None
            if until:
                raise click.Abort from None  # the state was not reached: a script must not continue


def _image_goal(image: str, until: str | None, wanted: dict[str, Any]) -> ImageGoal | None:
    """Raises: UsageError."""
    if any(wanted.values()):
        raise click.UsageError("--version, --begin-within, --strict and --through need --upgrade")
    if until and not image:
        raise click.UsageError("--until needs --image, or --upgrade and --controller")
    match until:
        case None | "completed" | "failed":
            return until
        case _:
            raise click.UsageError(f"--until {until} needs --upgrade")


def _upgrade_target(
    image: str, unit: str, controller: str, until: str | None, wanted: dict[str, Any]
) -> "UpgradeTarget":
    """Raises: UsageError."""
    from monitor.cli.output.watch_state import UpgradeTarget  # noqa: PLC0415

    if image:
        raise click.UsageError("--image and --upgrade cannot be combined")
    if until is None:
        if any(wanted.values()):
            raise click.UsageError("--version, --begin-within, --strict and --through need --until")
        return UpgradeTarget(unit, controller)
    if not controller or unit:
        raise click.UsageError("--upgrade with --until waits for a whole controller: give --controller, and no unit")
    goals = {goal: goal for goal in get_args(UpgradeGoal)}
    if until not in goals:
        raise click.UsageError(f"--until {until} is of images; with --upgrade: {', '.join(goals)}")
    if wanted["strict"] and until != "checked":
        raise click.UsageError("--strict needs --until checked")
    if wanted["through"] and until == "checked":
        raise click.UsageError("--through needs --until controllers or completed")
    begin_within_s = wanted["begin_within_s"]
    wait = Wait(
        until=goals[until],
        version=wanted["version"],
        begin_within_s=BEGIN_WITHIN_S if begin_within_s is None else begin_within_s,
        strict=wanted["strict"],
        through_suspended=wanted["through"] is not None,
    )
    return UpgradeTarget(controller=controller, wait=wait)


async def _follow(
    items: AsyncIterator["StreamItem"], watcher: "Watcher", deadline: asyncio.Timeout, stopped: asyncio.Event
) -> None:
    """Return when what is waited for is reached. ``deadline``: also moved to when the wait ends by itself."""
    end_at = deadline.when()
    async for item in items:
        if watcher.handle(item):
            return
        if not stopped.is_set():
            deadline.reschedule(_earlier(end_at, watcher.decides_in_s))


def _earlier(end_at: float | None, decides_in_s: float | None) -> float | None:
    """Return the earlier of a time of the loop's clock and one in so many seconds; None: none of them."""
    decides_at = None if decides_in_s is None else asyncio.get_running_loop().time() + decides_in_s
    return min((at for at in (end_at, decides_at) if at is not None), default=None)


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
