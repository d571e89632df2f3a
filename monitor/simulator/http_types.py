"""What passes between the socket and the simulated Controller: a request in, a response out. Knows no aiohttp."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Json).decode


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The part ``file`` of a multipart upload; its bytes are counted and discarded."""

    filename: str
    size: int


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    One request, read completely. ``query`` keeps repeated keys in their order; ``headers`` ignores case.

    ``remote``: the address of the client.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: UploadedFile | None = None
    remote: str = ""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response before it is sent. ``reason``: the phrase of the status line, where it is not the standard one."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    reason: str | None = None

    def with_headers(self, *headers: tuple[str, str]) -> "HttpResponse":
        """Return the same response with more headers."""
        return HttpResponse(self.status, self.body, (*self.headers, *headers), self.content_type, self.reason)


class ApiError(Exception):
    """The Controller rejects a request: sent as ``{"error": text}`` with this status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def response(self) -> HttpResponse:
        """Return the error in the form of a Controller."""
        return json_response({"error": self.text}, status=self.status)


def json_response(document: object, *, status: int = 200) -> HttpResponse:
    """Encode a document as the body of a response."""
    return HttpResponse(status, encode(document))


def html_response(status: int, title: str) -> HttpResponse:
    """Return the error page of the web server (nginx) in front of the Controller's API."""
    heading = f"{status} {title}"
    page = f"<html>\r\n<head><title>{heading}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n"
    return HttpResponse(status, f"{page}<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode(), (), "text/html")


def plain_401(text: str) -> HttpResponse:
    """Return plain text with the content type of JSON, as recorded from real Controllers."""
    return HttpResponse(401, text.encode())
