"""
What every command that asks a running daemon takes: where the daemon is, what opens it, how the answer is shown.

Only the environment and a file may hold a token: a command line is read by everybody on the machine.
"""

import errno
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import click
from msgspec import Struct

from monitor.cli.api.responses import Failure
from monitor.cli.params import CaFile, Duration, Origin
from monitor.cli.runner import exit_on_error, run_loop
from monitor.config.values import is_loopback, read_secret
from monitor.config.yaml_reader import reason
from monitor.model.errors import MonitorError
from monitor.model.secret import Secret

Output = Literal["text", "json"]

_TOKEN: Final = "AVI_UPGRADE_MONITOR_TOKEN"  # noqa: S105  the name of a variable


REQUEST_S: Final = 30.0  # three heartbeats of a stream, and more than any answer of a daemon that lives takes


class Access(Struct, frozen=True, kw_only=True):
    """
    Where the daemon is, and what opens it.

    ``url``: its origin. ``ca_file``: trusted instead of the system's. ``timeout_s``: of each request, and of the
    silence in an answer that goes on for long.
    """

    url: str
    token: Secret | None = None
    ca_file: Path | None = None
    timeout_s: float = REQUEST_S


class Variable(click.Option):
    """A value that comes from the environment alone."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401  the signature is click's
        super().__init__(*arguments, **attributes)
        self.opts = []

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  click's own, which is private
        """Nothing: no command line has it."""

    def get_help_record(self, _ctx: click.Context) -> tuple[str, str]:
        """Its name, beside the options."""
        return str(self.envvar), self.help or ""


output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people or for programs.",
)

_WHERE: Final = (
    click.option(
        "--url",
        type=Origin(),
        envvar="AVI_UPGRADE_MONITOR_URL",
        default="http://127.0.0.1:9972",
        show_default=True,
        show_envvar=True,
        help="The daemon.",
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        envvar=f"{_TOKEN}_FILE",
        show_envvar=True,
        help="A file that holds the token to come in with.",
    ),
    click.option("--token", cls=Variable, envvar=_TOKEN, help="The token itself, where no file holds it."),
    click.option("--ca-file", type=CaFile(), help="Trust this CA instead of the system's; PEM."),
)
_timeout_option = click.option(
    "--timeout", "timeout_s", type=Duration(), default=f"{REQUEST_S:g}s", show_default=True, help="Of each request."
)

Asking = Callable[..., Coroutine[Any, Any, None]]


def api_command(command: Asking) -> Callable[..., None]:
    """
    Turn ``command(access, output, …)`` into one that takes the options of all.

    Errors go to standard error: as lines, or as one problem object (RFC 9457) where JSON is wanted.
    """
    return _timeout_option(stream_command(command))


def stream_command(command: Asking) -> Callable[..., None]:
    """As ``asking``, for a command that goes on for long: ``--timeout`` is its own, and may mean the whole."""

    @wraps(command)
    @exit_on_error
    def wrapped(  # noqa: PLR0917  one argument an option
        url: str,
        token_file: Path | None,
        token: str | None,
        ca_file: Path | None,
        output: Output,
        timeout_s: float = REQUEST_S,
        **own: Any,  # noqa: ANN401  what the command itself takes
    ) -> None:
        secret = _read_token(url, token_file, token)
        access = Access(url=url, token=secret, ca_file=ca_file, timeout_s=timeout_s)
        try:
            run_loop(command(access, output, **own))
        except Failure as error:
            click.echo(error.as_json() if output == "json" else f"avi-upgrade-monitor: {error}", err=True)
            sys.exit(error.exit_status)
        except OSError as error:  # nobody takes what is printed
            if error.errno == errno.EPIPE:
                raise  # click ends in silence then, as `head` wants it
            raise MonitorError(error.strerror or type(error).__name__) from error

    for option in reversed((*_WHERE, output_option)):
        wrapped = option(wrapped)
    return wrapped


def _read_token(url: str, token_file: Path | None, token: str | None) -> Secret | None:
    """The file before the variable. Raises: UsageError, which never shows the token."""
    found = _read_token_file(token_file) if token_file else token and token.strip()
    if not found:
        return None
    if not found.isascii() or not found.isprintable() or " " in found:
        raise click.UsageError("the token is none: expected printable ASCII without spaces")
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise click.UsageError(
            f"a token goes over http:// to this machine alone, not to {parts.hostname}; use https://"
        )
    return Secret(found)


def _read_token_file(path: Path) -> str:
    try:
        token = read_secret(path).strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--token-file: {path} cannot be read: {reason(error)}") from error
    if not token:
        raise click.UsageError(f"--token-file: {path} is empty")
    return token
