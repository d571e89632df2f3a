"""
The live page and its files from ``page/``: read once, and served without authentication, because they contain no data.

All that the page shows comes from the API, with the credential of the user. The Content-Security-Policy allows scripts
and styles from these files only, and connections to this host only.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from monitor.model.digest import digest
from monitor.web.entity_tags import sent_tags
from monitor.web.problems import Problem

_CONTENT_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
FILE_TYPES: Final = tuple(_CONTENT_TYPES.values())
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _File(Struct, frozen=True):
    body: bytes
    content_type: str
    tag: str


async def get_page(request: web.Request) -> web.Response:
    """``GET /``: the page."""
    return _serve(request, "index.html")


async def get_file(request: web.Request) -> web.Response:
    """A script, style or image of the page. Raises: Problem (no-such-route)."""
    return _serve(request, request.match_info["file"])


def _serve(request: web.Request, name: str) -> web.Response:
    file = _files().get(name)
    if file is None:
        raise Problem("no-such-route", f"the page has no file {name[:80]!r}")
    headers = {
        "Cache-Control": "no-cache",  # after an update other scripts have the same names
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "ETag": f'"{file.tag}"',
        "Referrer-Policy": "no-referrer",
    }
    if (sent_tags(request, hdrs.IF_NONE_MATCH) or frozenset()) & {file.tag, "*"}:
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)


@cache
def _files() -> Mapping[str, _File]:
    """Every file of the page, by name."""
    found: dict[str, _File] = {}
    for each in (files("monitor.web") / "page").iterdir():
        content_type = _CONTENT_TYPES.get(each.name.rpartition(".")[2])
        if content_type:
            body = each.read_bytes()
            found[each.name] = _File(body, content_type, digest(body)[:16].hex())
    return found
