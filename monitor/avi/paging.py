"""
Pages of ``GET /api/image``: split into raw images, identified by uuid, and joined into one list. Pure.

Tolerant by design: invalid text in one image makes that image undecodable, not the page.
"""

import json
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Final

import msgspec

from monitor.avi import wire
from monitor.avi.values import clip, last_segment
from monitor.avi.wire import UNREADABLE
from monitor.model.errors import BadAnswer
from monitor.model.snapshot import ObjectList, Page

PAGE_SIZE: Final = 200  # a Controller refuses a larger one
_MAX_LENIENT = 1024 * 1024  # bytes; decoding more in Python would block the event loop

_identity = msgspec.json.Decoder(wire.Identity)
_page = msgspec.json.Decoder(wire.Page)


def decode_page(body: bytes, known: Page | None = None) -> Page:
    """
    Split one page of ``GET /api/image`` into raw images, of which only the identity is decoded.

    Shape: ``{"count": n, "results": [image, …], "next": url?}``; ``next`` is never followed. ``known``: the page
    before; an image with the same bytes at the same place is not decoded at all.
    Raises: BadAnswer (decode) naming the JSON path of the first wrong value.
    """
    try:
        page = _page.decode(body)
    except UNREADABLE as error:
        page = _decode_leniently(body, error)
    if len(page.results) > PAGE_SIZE:
        raise BadAnswer("decode", f"{len(page.results)} images on a page, expected at most {PAGE_SIZE}")
    before = chain(known.objects if known else (), repeat(("", msgspec.Raw())))
    pairs = zip(page.results, before, strict=False)
    return Page(body, page.count, tuple((uuid if raw == old else identify(raw), raw) for raw, (uuid, old) in pairs))


def _decode_leniently(body: bytes, error: Exception) -> wire.Page:
    """
    Split a page with invalid text in it (an unpaired surrogate, a byte that is not UTF-8), so that only the image with
    that text is undecodable.

    Raises: BadAnswer with the first error, when the page is large, or the lenient decoder fails, too.
    """
    if len(body) > _MAX_LENIENT:
        raise BadAnswer("decode", clip(str(error))) from error
    try:
        page = msgspec.convert(json.loads(body.decode(errors="surrogateescape")), wire.LoosePage)
        return wire.Page([msgspec.Raw(json.dumps(image).encode()) for image in page.results], page.count)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise BadAnswer("decode", clip(str(error))) from error


def assemble(pages: Iterable[Page]) -> ObjectList | None:
    """Join pages into a list; None when they do not fit together, because images came or went between them."""
    pages = tuple(pages)
    identified = [(uuid, raw) for page in pages for uuid, raw in page.objects if uuid]
    unidentified = sum(not uuid for page in pages for uuid, _ in page.objects)
    raws = dict(identified)
    counts = {page.count for page in pages}
    if len(counts) != 1:
        return None
    (count,) = counts
    received = len(raws) + unidentified
    complete = len(identified) + unidentified == received if count is None else count == received
    return ObjectList(pages, raws, unidentified) if complete else None


def identify(raw: msgspec.Raw) -> str:
    """Decode the uuid of an object and nothing else; empty without one."""
    try:
        return uuid_of(_identity.decode(raw))
    except UNREADABLE:
        return _identify_leniently(raw)


def _identify_leniently(raw: msgspec.Raw) -> str:
    """Decode the uuid of an object with invalid text in it, so that the log can name the image."""
    try:
        fields = json.loads(bytes(raw).decode(errors="replace"))
        uuid = uuid_of(msgspec.convert(fields, wire.Identity))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return ""
    return uuid.encode(errors="replace").decode()


def uuid_of(identity: wire.Identity) -> str:
    """Return ``uuid``, or the last segment of ``url``; empty without either."""
    return clip(identity.uuid or last_segment((identity.url or "").partition("#")[0]))
