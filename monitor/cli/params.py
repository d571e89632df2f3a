"""What may stand on a command line: texts with a meaning, each read once, or refused with what it should look like."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from monitor.config.validation import InvalidValue, ParseContext, printable, quoted
from monitor.config.values import CA_FILE, ORIGIN, parse_duration_s
from monitor.patching.body import is_version
from monitor.patching.fields import ADJUSTABLE, LISTS, Json


class Text(click.ParamType[str]):
    """Any text that can be sent: the bytes of a command line need not be UTF-8."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Give it as it is."""
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail(f"found {quoted(ascii(value))}, expected a text in UTF-8", param, ctx)
        return str(value)


class Duration(click.ParamType[float]):
    """``30s``, ``5m``, ``1h30m``: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it, or say what it should look like."""
        try:
            return value if isinstance(value, float) else parse_duration_s(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 300ms, 30s or 5m", param, ctx)


class Anchor(click.ParamType[tuple[int, bytes]]):
    """``204:152ad51f…``: the number and the hash of a record of the audit, as its event in the log has them."""

    name = "number:hash"

    def convert(  # noqa: D102
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, bytes]:
        found = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-fA-F]{64})", str(value))
        if not found:
            self.fail(f"found {quoted(str(value))}, expected a number, a colon and 64 hexadecimal digits", param, ctx)
        return int(found[1]), bytes.fromhex(found[2])


class Origin(click.ParamType[str]):
    """Where a daemon is: ``http://127.0.0.1:9972``."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Read it. A wrong one is shown only when it has no place for a secret."""
        try:
            return str(ORIGIN.parse(value, ParseContext(Path(), {})))
        except (InvalidValue, ValueError) as error:
            found = getattr(error, "found", "") or "no URL"
            self.fail(f"found {found}, expected the daemon's origin such as http://127.0.0.1:9972", param, ctx)


class Version(click.ParamType[str]):
    """``30.2.1``."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Give it as it is; which ones a Controller knows is for it to say."""
        if value and not is_version(value):
            self.fail(f"found {quoted(str(value))}, expected a version such as 30.2.1", param, ctx)
        return str(value)


class CaFile(click.ParamType[Path]):
    """A PEM file of CA certificates, which is there and holds some."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401
        """Look into it."""
        try:
            return Path(str(CA_FILE.parse(str(value), ParseContext(Path(), {}))))
        except InvalidValue as wrong:
            self.fail(f"found {quoted(str(value))}, expected {wrong.expected}", param, ctx)


class Note(NamedTuple):
    """One change of an annotation; ``value`` None: it goes."""

    key: str
    value: str | None


class NoteType(click.ParamType[Note]):
    """``key=value`` sets an annotation, ``key-`` removes it."""

    name = "note"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Note:  # noqa: ANN401
        """Split it; whether key and value are good is for the daemon to say."""
        if isinstance(value, Note):
            return value
        key, equals, text = Text().convert(value, param, ctx).partition("=")
        note = Note(key, text) if equals else Note(key.removesuffix("-"), None)
        if not note.key or (not equals and not key.endswith("-")):
            self.fail(f"found {quoted(value)}, expected key=value to set it, or key- to remove it", param, ctx)
        return note


class Setting(NamedTuple):
    """One field of an image, and the JSON value that it is to have."""

    field: str
    value: Json


class SettingType(click.ParamType[Setting]):
    """``field=value``; the value of a list is JSON, that of a boolean ``true`` or ``false``, of all others the text."""

    name = "field=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Setting:  # noqa: ANN401
        """Read it in the type of the field; which fields there are is for the daemon to say."""
        if isinstance(value, Setting):
            return value
        field, equals, text = Text().convert(value, param, ctx).partition("=")
        if not field or not equals:
            self.fail(f"found {quoted(value)}, expected field=value", param, ctx)
        try:
            return Setting(field, _value(field, text))
        except ValueError as error:
            self.fail(f"{printable(field)}: found {quoted(text)}, expected {error}", param, ctx)


def _value(field: str, text: str) -> Json:
    """Or ValueError with what was expected."""
    if field in LISTS:
        try:
            return msgspec.json.decode(text)
        except msgspec.MsgspecError as error:
            raise ValueError(f"JSON ({error})") from error
    if ADJUSTABLE.get(field) is not bool:
        return text
    if text not in {"true", "false"}:
        raise ValueError("true or false")
    return text == "true"
