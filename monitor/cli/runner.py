"""What every command runs in: its event loop, the signals that stop it, errors as messages and exit codes."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec

import click

from monitor.daemon.journal import add_priority, is_journal
from monitor.model.errors import ConfigError, MonitorError

P = ParamSpec("P")


def exit_on_error(command: Callable[P, None]) -> Callable[P, None]:
    """Turn expected errors into lines on standard error and an exit code, without a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ConfigError as error:
            _print_error("\n".join(error.problems))
            sys.exit(2)
        except MonitorError as error:
            _print_error(f"avi-upgrade-monitor: {error}")
            sys.exit(1)

    return wrapped


def _print_error(text: str) -> None:
    """Print to standard error; as errors where the journal reads it, for the unit of systemd."""
    click.echo(add_priority(text, "error") if is_journal(os.environ, 2) else text, err=True)  # noqa: TID251


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on the fastest event loop that is installed."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        from uvloop import new_event_loop as factory  # noqa: PLC0415  the extra `speed`
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def stop_on_signals(
    loop: asyncio.AbstractEventLoop,
    numbers: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
) -> asyncio.Event:
    """Return an event that is set by these signals; a closing terminal sends SIGHUP."""
    stop = asyncio.Event()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    return stop
