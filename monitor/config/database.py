"""Where the database is: the formats of its URL and of a file with the URL, and what of a URL may be shown."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from monitor.config.text_file import read_secret, reason
from monitor.config.validation import InvalidValue, ParseContext, TextFormat, quoted

_URL: Final = re.compile(r"(?:sqlite|postgresql)://\S*")
_PARTS: Final = re.compile(r"(\w+://)(?:[^@/?#]*@)?([^@/?#]*(?:/[^@?#]*)?)(?:\?[^@#]*)?")


class DatabaseUrl(str):
    """A URL that may hold a password: ``repr`` has its `place` alone."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(self.place)

    @property
    def place(self) -> str:
        """Which database it is, without user, password and parameters; of an odd URL only the scheme."""
        parts = _PARTS.fullmatch(self)
        return "".join(parts.groups()) if parts else f"{self.partition('://')[0]}://<secret>"

    @property
    def has_password(self) -> bool:
        """Whether there is a password in it."""
        url = urlsplit(self)
        return bool(url.password or "password" in parse_qs(url.query))


DEFAULT_DATABASE: Final = "sqlite:////var/lib/avi-upgrade-monitor/state.db"


def read_database_file(path: Path) -> DatabaseUrl:
    """
    Read the URL of a database from a file that holds nothing else.

    Raises: ValueError that says what is wrong with the file, without any of it.
    """
    try:
        text = read_secret(path)
    except (OSError, ValueError) as error:
        raise ValueError(reason(error)) from error
    if not text:
        raise ValueError("it is empty")
    try:
        return _parse_url(text, ParseContext(path.parent, {}))
    except (InvalidValue, ValueError) as error:
        raise ValueError(f"what it holds is not {DATABASE.expected}") from error


def _parse_url(text: str, context: ParseContext) -> DatabaseUrl:
    if not _URL.fullmatch(text):
        raise ValueError(text)
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError where it is not a number
    if parts.scheme != "sqlite":
        return DatabaseUrl(text)
    if parts.netloc or parts.query or parts.fragment:
        raise InvalidValue(
            found="a host, a query or a fragment in a sqlite URL (three slashes before a path, four if absolute)"
        )
    return DatabaseUrl(f"sqlite:///{context.directory.absolute() / parts.path[1:]}" if parts.path else text)


def _parse_file(text: str, context: ParseContext) -> Path:
    path = context.file(text)
    try:
        read_database_file(path)
    except ValueError as error:
        shown = "" if "://" in text else quoted(text)  # it may be the URL itself, under the wrong key
        raise InvalidValue(f"{DATABASE_FILE.expected}: {error}", found=shown) from error
    return path


DATABASE: Final = TextFormat(
    expected="sqlite:////absolute/path or postgresql://host/name", parse=_parse_url, pattern=_URL.pattern, shown=False
)
DATABASE_FILE: Final = TextFormat(expected="a file that holds the URL of the database", parse=_parse_file, shown=False)
