"""
Pages of ``GET /api/image``: split into raw images, identified by uuid, and joined into one list. Pure.

Tolerant by design: invalid text in one image makes that image undecodable, not the page.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Final

import msgspec
from msgspec.structs import replace

from monitor.avi import wire
from monitor.avi.values import clip, last_segment
from monitor.avi.wire import UNREADABLE
from monitor.model.errors import BadAnswer
from monitor.model.snapshot import ObjectList, Page

PAGE_SIZE: Final = 200  # a Controller refuses a larger one
MAX_OBJECT_BYTES: Final = 1024 * 1024
"""A larger object is undecodable. An image with 5,000 events is smaller; to decode more would block the event loop."""

_MAX_MENDED: Final = 2 * MAX_OBJECT_BYTES  # mending is slow: a tenth of a second a MiB

_raw = msgspec.json.Decoder(msgspec.Raw)
_identity = msgspec.json.Decoder(wire.Identity)
_Results = msgspec.defstruct(
    "Results",
    [(f"image_{place}", msgspec.Raw, msgspec.Raw()) for place in range(PAGE_SIZE)],
    array_like=True,
    forbid_unknown_fields=True,
)
"""An array of at most PAGE_SIZE: a longer one is refused before there is an object for each of its elements."""
_page = msgspec.json.Decoder(wire.Page[_Results])  # type: ignore[valid-type]  # a type, but made by a call

_BEGIN = re.compile(rb'\s*\{(?:\s*"\w+"\s*:\s*(?:\d+|null|"[^"\\]*")\s*,)*\s*"results"\s*:\s*\[\s*')
_COMMA = re.compile(rb"\s*,?\s*")

_HEX = rb"[0-9a-fA-F]{2}"
_INVALID = re.compile(
    rb"\\(?:u[dD][89abAB]%b\\u[dD][c-fC-F]%b|(?P<half>u[dD][89a-fA-F]%b)|.)" % (_HEX, _HEX, _HEX)
    + rb"|(?<=[\[:,\s])-?(?P<number>NaN|Infinity)(?=[\]},\s])",
    re.DOTALL,
)
"""Every escape, so that half a pair of surrogates is told from a pair, and from the text after a backslash."""


def decode_page(body: bytes, known: Page | None = None) -> Page:
    """
    Split one page of ``GET /api/image`` into raw images, of which only the identity is decoded.

    Shape: ``{"count": n, "results": [image, …], "next": url?}``; ``next`` is never followed. ``known``: the page
    before; an image with the same bytes at the same place is not decoded at all.
    Raises: BadAnswer (decode) naming the JSON path of the first wrong value.
    """
    if known and (replaced := _replace_one_image(body, known)):
        return replaced
    try:
        page, mended = _page.decode(body), body
    except msgspec.ValidationError as error:  # of another shape; before its base class: malformed
        raise BadAnswer("decode", clip(str(error))) from error
    except UNREADABLE as error:
        page, mended = _decode_mended(body, error)
    before = chain(known.objects if known else (), repeat(("", msgspec.Raw())))
    pairs = zip(_images_of(page, body, mended), before, strict=False)
    objects = tuple((uuid if raw == old else identify(raw), raw) for raw, (uuid, old) in pairs)
    return Page(body, _count_of(page.count), objects)


def _replace_one_image(body: bytes, known: Page) -> Page | None:
    """Return the page if it differs from ``known`` in one image only: the others are compared, not scanned."""
    begin = _BEGIN.match(known.body)
    if not begin or not body.startswith(begin[0]):
        return None
    view, start, shift = memoryview(body), begin.end(), 0
    objects: list[tuple[str, msgspec.Raw]] = []
    changed = False
    for uuid, old in known.objects:
        text = bytes(old)
        end = start + len(text)
        if body.startswith(text, start + shift):
            objects.append((uuid, msgspec.Raw(view[start + shift : end + shift])))
        elif changed or not known.body.startswith(text, start):
            return None
        else:
            changed, shift = True, len(body) - len(known.body)
            new = msgspec.Raw(view[start : end + shift])
            if not _is_value(new):
                return None
            objects.append((identify(new), new))
        start = _COMMA.match(known.body, end).end()  # type: ignore[union-attr]  # it matches nothing, too
        if not body.startswith(known.body[end:start], end + shift):
            return None
    is_equal = changed and body.endswith(known.body[start:])
    return Page(body, known.count, tuple(objects)) if is_equal else None


def _is_value(raw: msgspec.Raw) -> bool:
    """Whether it is one JSON value, without white space around it."""
    try:
        return len(bytes(_raw.decode(raw))) == memoryview(raw).nbytes
    except UNREADABLE:
        return False


def _decode_mended(body: bytes, error: Exception) -> tuple[wire.Page[msgspec.Struct], bytes]:
    """
    Split a page with invalid text in it as if that were valid.

    Returns: the page, and the mended body that it is a view on. Raises: BadAnswer with the first error, when the page
    is large, or cannot be mended.
    """
    if len(body) > _MAX_MENDED:
        raise BadAnswer("decode", clip(str(error))) from error
    mended = _mend(body)
    try:
        return _page.decode(mended), mended
    except UNREADABLE:
        raise BadAnswer("decode", clip(str(error))) from error


def _images_of(page: wire.Page[msgspec.Struct], body: bytes, mended: bytes) -> Iterator[msgspec.Raw]:
    """Return the images of a page as they are in ``body``: where the text was mended, the image is undecodable."""
    at = 0
    for raw in filter(None, msgspec.structs.astuple(page.results)):
        if mended is body:
            yield raw
        else:  # between two images is nothing but a comma and white space, so that the next one is found at its place
            text = bytes(raw)
            at = mended.index(text, at)
            yield msgspec.Raw(body[at : at + len(text)])
            at += len(text)


def _mend(text: bytes) -> bytes:
    """Replace unpaired surrogates, NaN, infinities, and bytes that are not UTF-8, by as many valid bytes."""
    text = text.decode(errors="surrogateescape").encode(errors="replace")
    return _INVALID.sub(_valid, text)


def _valid(match: re.Match[bytes]) -> bytes:
    whole, half_pair, number = match.group(0, "half", "number")
    if half_pair:
        return rb"\u003f"  # a question mark, as the other replacements are
    return b"1".ljust(len(whole), b"0") if number else whole


def _count_of(count: int | str | None) -> int | None:
    """Raises: BadAnswer when it is a text, but no number."""
    if not isinstance(count, str):
        return count
    if count.isdecimal() and len(count) < 20:
        return int(count)
    raise BadAnswer("decode", clip(f"Expected a number, got `{count[:40]!a}` - at `$.count`"))


def assemble(pages: Iterable[Page]) -> ObjectList | None:
    """Join pages into a list; None when they do not fit together, because images came or went between them."""
    pages = tuple(pages)
    found = _join(pages)
    counts = {page.count for page in pages}
    if len(counts) != 1:
        return None
    (count,) = counts
    complete = not found.repeated if count is None else count == len(found.raws) + found.unidentified
    return replace(found, repeated=0) if complete else None


def assemble_repeated(first: Iterable[Page], second: Iterable[Page]) -> ObjectList | None:
    """
    Join the pages of the second of two reads, neither of which `assemble` could join, if the Controller lists images
    twice, and counts them twice.

    It does so if both reads have one `count`, as many objects as that, and the same uuids, and if no page is the same
    as another one, as from a Controller that ignores the number of the page. Returns: None otherwise.
    """
    first, second = tuple(first), tuple(second)
    found = _join(second)
    counts = {page.count for page in (*first, *second)}
    total = len(found.raws) + found.unidentified + found.repeated
    same = Counter(_uuids(first)) == Counter(_uuids(second))
    distinct_pages = len({page.body for page in second}) == len(second)
    return found if same and distinct_pages and counts in ({total}, {None}) else None


def _join(pages: tuple[Page, ...]) -> ObjectList:
    identified = [(uuid, raw) for page in pages for uuid, raw in page.objects if uuid]
    raws = dict(identified)
    unidentified = sum(not uuid for uuid in _uuids(pages))
    return ObjectList(pages, raws, unidentified, len(identified) - len(raws))


def _uuids(pages: Iterable[Page]) -> Iterator[str]:
    return (uuid for page in pages for uuid, _ in page.objects)


def identify(raw: msgspec.Raw) -> str:
    """Decode the uuid of an object and nothing else; empty without one. Invalid text is mended: the log names it."""
    try:
        return uuid_of(_identity.decode(raw))
    except msgspec.ValidationError:
        return ""
    except UNREADABLE:
        return _identify_mended(raw)


def _identify_mended(raw: msgspec.Raw) -> str:
    if memoryview(raw).nbytes > MAX_OBJECT_BYTES:
        return ""
    try:
        return uuid_of(_identity.decode(_mend(bytes(raw))))
    except UNREADABLE:
        return ""


def uuid_of(identity: wire.Identity) -> str:
    """Return ``uuid``, or the last segment of ``url``; empty without either."""
    return clip(identity.uuid or last_segment((identity.url or "").partition("#")[0]))
