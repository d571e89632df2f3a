"""
Pages of ``GET /api/image``: split into raw images, told apart by uuid, and joined into one list. Pure.

Tolerant by design: a page that one text in it spoils costs that image alone.
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

PAGE_SIZE: Final = 200  # the most a Controller gives; more is refused
_LARGEST_SALVAGE = 1024 * 1024  # bytes; more would hold the loop

_identity = msgspec.json.Decoder(wire.Identity)
_page = msgspec.json.Decoder(wire.Page)


def decode_page(body: bytes, known: Page | None = None) -> Page:
    """
    Split one page of ``GET /api/image`` into raw images, without reading more of them than who they are.

    Shape: ``{"count": n, "results": [image, …], "next": url?}``; ``next`` is never followed. ``known``: the page as it
    was; an image that is at its place what it was is not read at all.
    Raises: BadAnswer (decode) naming the JSON path of the first wrong value.
    """
    try:
        page = _page.decode(body)
    except UNREADABLE as error:
        page = _salvage(body, error)
    if len(page.results) > PAGE_SIZE:
        raise BadAnswer("decode", f"{len(page.results)} images on a page, {PAGE_SIZE} were asked for")
    before = chain(known.objects if known else (), repeat(("", msgspec.Raw())))
    pairs = zip(page.results, before, strict=False)
    return Page(body, page.count, tuple((uuid if raw == old else identify(raw), raw) for raw, (uuid, old) in pairs))


def _salvage(body: bytes, error: Exception) -> wire.Page:
    """
    Split a page that one text in it spoils (half a surrogate pair, a byte that is not UTF-8), so that the image that
    has the text is the only one to be bad.

    Raises: BadAnswer with the first error, when the page is large, or no JSON that the lenient decoder takes either.
    """
    if len(body) > _LARGEST_SALVAGE:
        raise BadAnswer("decode", clip(str(error))) from error
    try:
        page = msgspec.convert(json.loads(body.decode(errors="surrogateescape")), wire.LoosePage)
        return wire.Page([msgspec.Raw(json.dumps(image).encode()) for image in page.results], page.count)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise BadAnswer("decode", clip(str(error))) from error


def assemble(pages: Iterable[Page]) -> ObjectList | None:
    """Join pages into a listing; None when they do not fit together, because images came or went between them."""
    pages = tuple(pages)
    named = [(uuid, raw) for page in pages for uuid, raw in page.objects if uuid]
    unidentified = sum(not uuid for page in pages for uuid, _ in page.objects)
    raws = dict(named)
    counts = {page.count for page in pages}
    if len(counts) != 1:
        return None
    (count,) = counts
    came = len(raws) + unidentified
    complete = len(named) + unidentified == came if count is None else count == came
    return ObjectList(pages, raws, unidentified) if complete else None


def identify(raw: msgspec.Raw) -> str:
    """The uuid of an object, read no further; empty when it names none."""
    try:
        return uuid_of(_identity.decode(raw))
    except UNREADABLE:
        return _identify_loosely(raw)


def _identify_loosely(raw: msgspec.Raw) -> str:
    """Who an object is that a text in it spoils: a bad image should at least be named."""
    try:
        fields = json.loads(bytes(raw).decode(errors="replace"))
        uuid = uuid_of(msgspec.convert(fields, wire.Identity))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return ""
    return uuid.encode(errors="replace").decode()


def uuid_of(theirs: wire.Identity) -> str:
    """``uuid``, or the last segment of ``url``; empty without either."""
    return clip(theirs.uuid or last_segment((theirs.url or "").partition("#")[0]))
