"""
The options that several commands share.

Only the environment and a file may hold a token: every user of the machine can read a command line.
"""

import errno
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from monitor.cli.api.responses import CommandError
from monitor.cli.params import REQUEST_TIMEOUT_S, Access, CaFile, DaemonUrl, Duration, OutputFormat, Utf8Text
from monitor.cli.runner import exit_on_error, run_loop
from monitor.config.text_file import read_secret, reason
from monitor.config.values import is_loopback
from monitor.model.errors import MonitorError
from monitor.model.secret import Secret

_TOKEN_VARIABLE: Final = "AVI_UPGRADE_MONITOR_TOKEN"  # noqa: S105  the name of a variable


class EnvironmentOption(click.Option):
    """A value that comes from the environment only. The help text lists it beside the options."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401  the signature is click's
        super().__init__(*arguments, **attributes)
        self.opts = []

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  click's own, which is private
        """Add nothing: the command line does not accept it."""

    def get_help_record(self, _ctx: click.Context) -> tuple[str, str]:
        """Return the variable's name and the help text."""
        return str(self.envvar), self.help or ""


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=Path("/etc/avi-upgrade-monitor/config.yml"),
    show_default=True,
    help="The configuration file, YAML.",
)
web_config_option = click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path),
    help="TLS, passwords and headers of the daemon's own HTTP server, in the format of the Prometheus exporters.",
)
log_level_option = click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="The lowest level that is logged."
)
output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for a person, or JSON for a program.",
)
image_argument = click.argument("IMAGE", type=Utf8Text())
controller_option = click.option("--controller", type=Utf8Text(), default="", help="The controller that has the image.")

_CONNECTION_OPTIONS: Final = (
    click.option(
        "--url",
        type=DaemonUrl(),
        envvar="AVI_UPGRADE_MONITOR_URL",
        default="http://127.0.0.1:9972",
        show_default=True,
        show_envvar=True,
        help="The URL of the daemon, with the path under which a proxy has it.",
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        envvar=f"{_TOKEN_VARIABLE}_FILE",
        show_envvar=True,
        help="A file that contains the token for the daemon.",
    ),
    click.option("--token", cls=EnvironmentOption, envvar=_TOKEN_VARIABLE, help="The token itself, instead of a file."),
    click.option("--ca-file", type=CaFile(), help="Trust this CA instead of the system's; PEM."),
)
_request_timeout_option = click.option(
    "--timeout",
    "request_timeout_s",
    type=Duration(),
    default=f"{REQUEST_TIMEOUT_S:g}s",
    show_default=True,
    help="The timeout of each request.",
)

AsyncCommand = Callable[..., Coroutine[Any, Any, None]]


def api_command(command: AsyncCommand) -> Callable[..., None]:
    """
    Turn ``async command(access, output, …)`` into a click callback that takes the options of the connection.

    Errors go to standard error: as lines, or as one problem object (RFC 9457) with ``--output json``.
    """
    return _request_timeout_option(stream_command(command))


def stream_command(command: AsyncCommand) -> Callable[..., None]:
    """As ``api_command``, for a command that follows a stream: ``--timeout`` is left to the command."""

    @wraps(command)
    @exit_on_error
    def wrapped(  # noqa: PLR0917  one argument an option
        url: str,
        token_file: Path | None,
        token: str | None,
        ca_file: Path | None,
        output: OutputFormat,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        **own: Any,  # noqa: ANN401  the options of the command itself
    ) -> None:
        secret = _read_token(url, token_file, token)
        access = Access(url=url, token=secret, ca_file=ca_file, timeout_s=request_timeout_s)
        try:
            run_loop(command(access, output, **own))
        except CommandError as error:
            click.echo(error.as_json() if output == "json" else f"avi-upgrade-monitor: {error}", err=True)
            sys.exit(error.exit_status)
        except OSError as error:  # standard output cannot be written
            if error.errno == errno.EPIPE:
                raise  # click ends without a message, as `| head` needs it
            raise MonitorError(error.strerror or type(error).__name__) from error

    for option in reversed((*_CONNECTION_OPTIONS, output_option)):
        wrapped = option(wrapped)
    return wrapped


def _read_token(url: str, token_file: Path | None, token: str | None) -> Secret | None:
    """Return the token of the file, else that of the variable. Raises: UsageError, which never shows the token."""
    found = _read_token_file(token_file) if token_file else token and token.strip()
    if not found:
        return None
    if not found.isascii() or not found.isprintable() or " " in found:
        raise click.UsageError("the token is invalid: expected printable ASCII without spaces")
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise click.UsageError(
            f"a token is sent over http:// only to this machine, not to {parts.hostname}; use https://"
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
