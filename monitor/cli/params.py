"""
The values of a command line: parameter types for click, and the structs that commands share.

Each type converts its text once, or rejects it with a message that shows what was expected.
"""

import re
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import click
import msgspec
from msgspec import Struct

from monitor.config.validation import InvalidValue, ParseContext, printable, quoted
from monitor.config.values import CA_FILE, ORIGIN, parse_duration_s, parse_size
from monitor.model.secret import Secret
from monitor.patching.body import is_version
from monitor.patching.fields import ADJUSTABLE, LISTS, Json

OutputFormat = Literal["text", "json"]

_PREFIXED: Final = re.compile(r"(\w+://[^/?#@]+)((?:/[\w.~%-]+)+/?)", re.ASCII)

REQUEST_TIMEOUT_S: Final = 30.0  # three heartbeats of an event stream; only a PATCH on a slow Controller takes longer


class Access(Struct, frozen=True, kw_only=True):
    """
    How to reach the daemon.

    ``url``: its origin, and the path of a proxy without a slash at its end. ``ca_file``: trusted instead of the
    system's CAs. ``timeout_s``: of each request, and of the silence within a stream.
    """

    url: str
    token: Secret | None = None
    ca_file: Path | None = None
    timeout_s: float = REQUEST_TIMEOUT_S


class Utf8Text(click.ParamType[str]):
    """Any text that can be sent: the bytes of a command line need not be UTF-8."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the text unchanged."""
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail(f"found {quoted(ascii(value))}, expected a text in UTF-8", param, ctx)
        return str(value)


class Duration(click.ParamType[float]):
    """``30s``, ``5m``, ``1h30m``: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return seconds."""
        try:
            return value if isinstance(value, float) else parse_duration_s(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 300ms, 30s or 5m", param, ctx)


class Size(click.ParamType[int]):
    """``64KiB``, ``256MiB``, ``1GiB``: bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return bytes."""
        try:
            return value if isinstance(value, int) else parse_size(value)
        except ValueError:
            self.fail(f"{value!r} is not a size such as 64KiB, 256MiB or 1GiB", param, ctx)


class Anchor(click.ParamType[tuple[int, bytes]]):
    """``204:152ad51f…``: the number and the hash of an audit record, as its event in the log has them."""

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


class DaemonUrl(click.ParamType[str]):
    """The origin of a daemon, ``http://127.0.0.1:9972``, and the path under which a proxy has it."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """
        Return the URL without a slash at its end.

        The error message shows a wrong value only when it cannot contain a secret.
        """
        parts = _PREFIXED.fullmatch(str(value))
        origin, prefix = parts.groups() if parts else (value, "")
        try:
            return f"{ORIGIN.parse(origin, ParseContext(Path(), {}))}{prefix.rstrip('/')}"
        except (InvalidValue, ValueError) as error:
            found = getattr(error, "found", "") or "no URL"
            expected = "the daemon's origin such as http://127.0.0.1:9972, and a path if a proxy has it under one"
            self.fail(f"found {found}, expected {expected}", param, ctx)


class Version(click.ParamType[str]):
    """``30.2.1``."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the version unchanged; the Controller decides which versions it knows."""
        if value and not is_version(value):
            self.fail(f"found {quoted(str(value))}, expected a version such as 30.2.1", param, ctx)
        return str(value)


class TargetVersion(click.ParamType[str]):
    """``31.2.2``, with a patch ``31.2.2-2p1``, or with the number of its build ``31.2.2-9123``."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the version unchanged."""
        if value and not is_version(str(value).partition("-")[0]):
            self.fail(f"found {quoted(str(value))}, expected a version such as 31.2.2 or 31.2.2-2p1", param, ctx)
        return str(value)


class CaFile(click.ParamType[Path]):
    """A PEM file that exists and contains CA certificates."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401
        """Return the path, after reading the file."""
        try:
            return Path(str(CA_FILE.parse(str(value), ParseContext(Path(), {}))))
        except InvalidValue as wrong:
            self.fail(f"found {quoted(str(value))}, expected {wrong.expected}", param, ctx)


class AnnotationEdit(NamedTuple):
    """One change of an annotation; ``value`` None removes it."""

    key: str
    value: str | None


class AnnotationEditType(click.ParamType[AnnotationEdit]):
    """``key=value`` sets an annotation, ``key-`` removes it."""

    name = "annotation"

    def convert(  # noqa: D102
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> AnnotationEdit:
        if isinstance(value, AnnotationEdit):
            return value
        key, equals, text = Utf8Text().convert(value, param, ctx).partition("=")
        edit = AnnotationEdit(key, text) if equals else AnnotationEdit(key.removesuffix("-"), None)
        if not edit.key or (not equals and not key.endswith("-")):
            self.fail(f"found {quoted(value)}, expected key=value to set it, or key- to remove it", param, ctx)
        return edit  # the daemon checks key and value


class FieldValue(NamedTuple):
    """One field of an image, and the JSON value to set."""

    field: str
    value: Json


class FieldValueType(click.ParamType[FieldValue]):
    """``field=value``: JSON for a list, ``true`` or ``false`` for a boolean, the plain text for all others."""

    name = "field=value"

    def convert(  # noqa: D102
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> FieldValue:
        if isinstance(value, FieldValue):
            return value
        field, equals, text = Utf8Text().convert(value, param, ctx).partition("=")
        if not field or not equals:
            self.fail(f"found {quoted(value)}, expected field=value", param, ctx)
        try:
            return FieldValue(field, _parse_value(field, text))  # the daemon checks the field's name
        except ValueError as error:
            self.fail(f"{printable(field)}: found {quoted(text)}, expected {error}", param, ctx)


def _parse_value(field: str, text: str) -> Json:
    """Raises: ValueError with what was expected."""
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
