"""What passes between the socket and the simulated Controller: a call in, a reply out. Knows no aiohttp, no image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Json).decode


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The one part of a multipart upload; its bytes are counted and thrown away."""

    filename: str
    size: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read to its end. ``query`` keeps repeated keys, in order; ``headers`` ignores case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: UploadedFile | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer before it meets a socket. ``reason``: the phrase of the status line where it is not the usual one."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    reason: str | None = None

    def carrying(self, *headers: tuple[str, str]) -> "Reply":
        """The same reply with more headers."""
        return Reply(self.status, self.body, (*self.headers, *headers), self.content_type, self.reason)


class Refusal(Exception):
    """The Controller says no: becomes ``{"error": text}`` under this status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def reply(self) -> Reply:
        """The refusal as a Controller words it."""
        return reply({"error": self.text}, status=self.status)


def reply(document: object, *, status: int = 200) -> Reply:
    """A JSON reply."""
    return Reply(status, encode(document))


def html(status: int, title: str) -> Reply:
    """What the web server in front says when nobody stands behind it."""
    said = f"{status} {title}"
    page = f"<html>\r\n<head><title>{said}</title></head>\r\n<body>\r\n<center><h1>{said}</h1></center>\r\n"
    return Reply(status, f"{page}<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode(), (), "text/html")


def plain_401(text: str) -> Reply:
    """Plain text that calls itself JSON, as recorded from real Controllers."""
    return Reply(401, text.encode())
