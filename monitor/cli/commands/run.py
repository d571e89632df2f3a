"""``run``: the daemon, until a signal stops it."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251  the one rng of the process
from socket import socket
from typing import TYPE_CHECKING, Final, Literal

import click

from monitor.cli.options import config_option, log_level_option, web_config_option
from monitor.cli.params import DaemonUrl
from monitor.cli.runner import exit_on_error, run_loop, stop_on_signals
from monitor.config.load import load
from monitor.config.types import Config
from monitor.daemon.journal import is_journal

if TYPE_CHECKING:
    from monitor.daemon.heartbeat import StallLimits
    from monitor.daemon.systemd import ServiceManager


_MACOS_DESCRIPTORS: Final = 10_240  # OPEN_MAX: macOS says that there is no limit, and refuses a higher one


@click.command()
@config_option
@web_config_option
@log_level_option
@click.option(
    "--log-format", type=click.Choice(["json", "console"]), help="JSON for a log system, console for a person."
)
@click.option(
    "--no-config-watch",
    is_flag=True,
    help="Reload on request only, and not when a file of the configuration has changed.",
)
@click.option(
    "--advertise-url",
    type=DaemonUrl(),
    envvar="AVI_UPGRADE_MONITOR_ADVERTISE_URL",
    show_envvar=True,
    help="Where other daemons on the database reach this one; by default where it listens, if that is one address.",
)
@exit_on_error
def run(  # noqa: PLR0917  one argument an option
    config_file: Path,
    web_config_file: Path | None,
    log_level: str | None,
    log_format: Literal["json", "console"] | None,
    no_config_watch: bool,
    advertise_url: str | None,
) -> None:
    """Run the daemon."""
    from monitor.daemon import logging  # noqa: PLC0415  it imports structlog
    from monitor.daemon.systemd import take_passed_socket  # noqa: PLC0415

    passed_socket = take_passed_socket(_service_manager().sockets)
    listen = passed_socket.getsockname()[:2] if passed_socket else None
    read_config = partial(load, config_file, web_config=web_config_file, listen=listen)

    journal = is_journal(os.environ, 2)  # noqa: TID251

    def configure_log(config: Config) -> None:
        logging.configure(log_level or config.log.level, log_format or config.log.format, journal=journal)

    run_loop(
        serve(read_config, configure_log, passed_socket, watch=not no_config_watch, advertise_url=advertise_url or "")
    )


async def serve(
    read_config: Callable[[], Config],
    configure_log: Callable[[Config], None],
    passed_socket: socket | None = None,
    *,
    watch: bool = True,
    advertise_url: str = "",
    stall_limits: "StallLimits | None" = None,
) -> None:
    """
    Read the configuration and serve until a signal says stop, then shut down cleanly; reload at SIGHUP.

    ``watch``: whether to reload when a file has changed, too. ``advertise_url``: as in `monitor.daemon.app.running`.

    SIGHUP must be blocked when this is called (``monitor.__main__`` does so), and is ignored when it returns.

    Raises: ConfigError; MonitorError.
    """
    from monitor.daemon.app import running  # noqa: PLC0415  it imports aiohttp and SQLAlchemy
    from monitor.daemon.heartbeat import StallLimits  # noqa: PLC0415
    from monitor.daemon.reload import ReloadTiming, read_settled  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    stop = stop_on_signals(loop, (signal.SIGTERM, signal.SIGINT))
    config = await read_settled(read_config)
    configure_log(config)
    _raise_descriptor_limit()
    now, rng = time.time, Random()  # noqa: TID251, S311  the one clock; jitter is no secret
    async with running(
        config,
        now=now,
        rng=rng,
        load=read_config,
        advertise_url=advertise_url,
        manager=_service_manager(),
        passed_socket=passed_socket,
        reload_timing=ReloadTiming() if watch else ReloadTiming(watch_interval_s=None),
        stall_limits=stall_limits or StallLimits(),
    ) as daemon:
        # Not a handler of the loop, which gives up its handlers when it ends: a SIGHUP would end the process then.
        signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(daemon.reloader.request))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            await stop.wait()
        finally:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as the system gives: 1,024 are too few for 1,000 controllers."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard_limit, _MACOS_DESCRIPTORS):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard_limit))
            return


def _service_manager() -> "ServiceManager":
    from monitor.daemon.systemd import read_service_manager  # noqa: PLC0415  it imports structlog

    return read_service_manager(os.environ, pid=os.getpid())  # noqa: TID251  config.load reads the rest of it
