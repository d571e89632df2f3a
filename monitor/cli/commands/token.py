"""``token new``: a bearer token, shown once, and the line of the config that lets it in."""

import secrets
from collections.abc import Sequence
from typing import Literal

import click
import msgspec

from monitor.config.access import Scope, digest_of

_PREFIX = "aum_"  # so that a scanner of leaked secrets, and whoever finds one, knows whose it is
_BYTES = 32


def new(name: str, scopes: Sequence[Scope], controllers: Sequence[str], output: Literal["text", "json"]) -> None:
    """Make one and print it. It is kept nowhere: of the token itself the config has but the digest."""
    token = make()
    entry = entry_of(token, name, scopes)
    if controllers:
        entry["controllers"] = list(dict.fromkeys(controllers))
    if output == "json":
        click.echo(msgspec.json.encode({"token": token, "entry": entry}).decode())
    else:
        click.echo(_TEXT.format(token=token, line=_line(entry)))


def make() -> str:
    """A token that nobody has had before."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def entry_of(token: str, name: str, scopes: Sequence[Scope]) -> dict[str, object]:
    """What the config has of it, under ``tokens``."""
    return {"name": name, "sha256": digest_of(token).hex(), "scopes": list(dict.fromkeys(scopes))}


def _line(entry: dict[str, object]) -> str:
    """As YAML that is JSON as well, so that no name needs a thought about quotes."""
    return "{" + ", ".join(f"{key}: {msgspec.json.encode(value).decode()}" for key, value in entry.items()) + "}"


_TEXT = """\
The token; it is shown this once and kept nowhere:

    {token}

To let it in, put this under `tokens:` in the config and reload the daemon (SIGHUP):

    - {line}
"""
