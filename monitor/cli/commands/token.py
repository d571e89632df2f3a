"""``token new``: a bearer token, printed once, and the entry of the config that makes the daemon accept it."""

import secrets
from collections.abc import Sequence
from typing import get_args

import click
import msgspec

from monitor.cli.options import output_option
from monitor.cli.params import OutputFormat
from monitor.config.access import ANONYMOUS, Scope, digest_of
from monitor.config.values import is_name

_PREFIX = "aum_"  # lets a scanner for leaked secrets recognise the token
_BYTES = 32


def _check_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Accept the names that the config accepts."""
    if not is_name(name) or name == ANONYMOUS:
        raise click.BadParameter(f"expected 1 to 63 printable characters, and not {ANONYMOUS}")
    return name


@click.group()
def token() -> None:
    """Manage the tokens that the daemon's API accepts."""


@token.command("new")
@click.option("--name", required=True, callback=_check_name, help="The owner's name, as the audit shows it.")
@click.option(
    "--scope", "scopes", required=True, multiple=True, type=click.Choice(get_args(Scope)), help="What it permits."
)
@click.option(
    "--controller", "controllers", multiple=True, help="Limit it to this controller; can be given more than once."
)
@output_option
def token_new(name: str, scopes: tuple[Scope, ...], controllers: tuple[str, ...], output: OutputFormat) -> None:
    """Print a new token, once, and the line for the config that makes the daemon accept it."""
    secret = generate_token()
    entry = config_entry(secret, name, scopes)
    if controllers:
        entry["controllers"] = list(dict.fromkeys(controllers))
    if output == "json":
        click.echo(msgspec.json.encode({"token": secret, "entry": entry}).decode())
    else:
        click.echo(_TEXT.format(token=secret, line=_flow_mapping(entry)))


def generate_token() -> str:
    """Return a new random token."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def config_entry(token: str, name: str, scopes: Sequence[Scope]) -> dict[str, object]:
    """Return the entry for ``tokens`` in the config. It contains the digest, not the token."""
    return {"name": name, "sha256": digest_of(token).hex(), "scopes": list(dict.fromkeys(scopes))}


def _flow_mapping(entry: dict[str, object]) -> str:
    """Write the values as JSON, which is valid YAML and quotes any name correctly."""
    return "{" + ", ".join(f"{key}: {msgspec.json.encode(value).decode()}" for key, value in entry.items()) + "}"


_TEXT = """\
The token; it is printed only once and stored nowhere:

    {token}

To make the daemon accept it, put this under `tokens:` in the config and reload (SIGHUP):

    - {line}
"""
