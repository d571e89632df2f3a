"""``record``: what a Controller answers, without what names an installation; ``record check``: what is still there."""

import asyncio
import secrets
import time
from pathlib import Path
from random import Random  # noqa: TID251  the one rng of the process

import click

from monitor.cli.options import config_option
from monitor.cli.params import Duration, Size, Utf8Text
from monitor.cli.runner import exit_on_error, run_loop, stop_on_signals
from monitor.config.load import load
from monitor.config.types import Config, Controller
from monitor.config.values import write_duration
from monitor.model.errors import MonitorError


@click.group(invoke_without_command=True)
@config_option
@click.option("--controller", "name", type=Utf8Text(), default="", help="The controller of the config to record.")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder to record to; new or empty.")
@click.option(
    "--for", "for_s", type=Duration(), default="3h", show_default=True, help="How long; Ctrl-C ends it earlier."
)
@click.option(
    "--max-size", "max_bytes", type=Size(), default="256MiB", show_default=True, help="End when the files are so large."
)
@click.option("--no-text", "without_texts", is_flag=True, help="Leave out free texts, such as reasons and messages.")
@click.pass_context
@exit_on_error
def record(  # noqa: PLR0917  one argument an option
    context: click.Context,
    config_file: Path,
    name: str,
    folder: Path | None,
    for_s: float,
    max_bytes: int,
    without_texts: bool,
) -> None:
    """
    Record what a Controller answers while it is polled, to be replayed by `simulate --replay`.

    It reads only. Names, addresses, uuids and hosts are replaced before anything is written; read what is left with
    `record check` before the recording leaves the machine.
    """
    if context.invoked_subcommand:
        return
    if not name or folder is None:
        raise click.UsageError("--controller and --to are needed")
    from monitor.daemon import logging  # noqa: PLC0415  it imports structlog

    config = load(config_file)
    controller = next((each for each in config.controllers if each.name == name), None)
    if controller is None:
        names = ", ".join(each.name for each in config.controllers)
        raise click.UsageError(f"--controller: there is no {name!r} in {config_file}; there are {names}")
    logging.configure("warning", "console")
    run_loop(_record(controller, config, folder, for_s=for_s, max_bytes=max_bytes, keep_texts=not without_texts))


async def _record(
    controller: Controller, config: Config, folder: Path, *, for_s: float, max_bytes: int, keep_texts: bool
) -> None:
    """Raises: MonitorError when it cannot begin, or ended too early."""
    from monitor.daemon.record import record as record_until  # noqa: PLC0415  it imports aiohttp
    from monitor.polling.fleet import Fleet  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    stop = stop_on_signals(loop)
    loop.call_later(for_s, stop.set)
    click.echo(f"Recording {controller.name} to {folder} for {write_duration(for_s)}; Ctrl-C ends it.")
    done = await record_until(
        controller,
        config,
        folder,
        key=secrets.token_bytes(32),
        max_bytes=max_bytes,
        keep_texts=keep_texts,
        stop=stop,
        now=time.time,  # noqa: TID251
        rng=Random(),  # noqa: S311
        fleet=Fleet(),
    )
    click.echo(f"{done.exchanges} exchanges, {done.answers} distinct answers, {done.bytes / 1e6:.1f} MB in {folder}")
    click.echo(f"Read what is in it before you hand it on:  avi-upgrade-monitor record check {folder}")
    if done.ended:
        raise MonitorError(f"the recording ended early: {done.ended}")


@record.command("check")
@click.argument("FOLDER", type=click.Path(path_type=Path))
@exit_on_error
def record_check(folder: Path) -> None:
    """Print every string in a recording, sorted: how often it stands there, and where."""
    from monitor.cli.output.recorded_strings import describe_strings, find_strings  # noqa: PLC0415

    files = sorted(folder.glob("*.json*"))
    if not files:
        raise MonitorError(f"{folder}: no recording, expected the files that `record` writes")
    try:
        found, unreadable = find_strings(files)
    except OSError as error:
        raise MonitorError(f"{folder}: cannot be read: {error.strerror}") from error
    for line in describe_strings(found):
        click.echo(line)
    if unreadable:
        plural = "s" * (unreadable != 1)
        click.echo(f"{unreadable} line{plural} could not be read: was the recording killed?", err=True)
