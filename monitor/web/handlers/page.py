"""
The live page and its files, as they lie in ``page/``: read once, served to everybody, for they tell nothing.

All that the page shows comes from the API, with the credential that its reader has. No script and no style but these
files', and no host but this one: that is the policy, and it needs no exception.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Final

from aiohttp import web
from msgspec import Struct

from monitor.web.problems import Problem

_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
FILE_TYPES: Final = tuple(_TYPES.values())
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _File(Struct, frozen=True):
    body: bytes
    content_type: str
    tag: str


async def get_page(request: web.Request) -> web.Response:
    """The page itself."""
    return _serve(request, "index.html")


async def get_file(request: web.Request) -> web.Response:
    """One of its files. Raises: Problem (no-such-route)."""
    return _serve(request, request.match_info["file"])


def _serve(request: web.Request, name: str) -> web.Response:
    file = _files().get(name)
    if file is None:
        raise Problem("no-such-route", f"the page has no file {name[:80]!r}")
    headers = {
        "Cache-Control": "no-cache",  # a newer version has other scripts under the same names
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "ETag": f'"{file.tag}"',
        "Referrer-Policy": "no-referrer",
    }
    if request.if_none_match and any(known.value in {file.tag, "*"} for known in request.if_none_match):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)


@cache
def _files() -> Mapping[str, _File]:
    """Every file of the page, by name."""
    return dict(_read())


def _read() -> Iterator[tuple[str, _File]]:
    for each in (files("monitor.web") / "page").iterdir():
        content_type = _TYPES.get(each.name.rpartition(".")[2])
        if content_type:
            body = each.read_bytes()
            yield each.name, _File(body, content_type, blake2b(body, digest_size=16).hexdigest())
