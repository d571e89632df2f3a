"""An image as our API shows it: the Controller's own JSON with our members behind, and its entity tag. Pure."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

_NONE: Mapping[str, float | int | str | None] = {}


def represent(
    raw: bytes,
    controller: str,
    annotations: Mapping[str, str],
    estimates: Mapping[str, float | int | str | None] = _NONE,
) -> bytes:
    """The object as it came, with ``annotations``, ``controller`` and ``estimates``. ``raw``: a JSON object."""
    ours = msgspec.json.encode({"annotations": annotations, "controller": controller, **estimates})
    whole = raw.rstrip()[:-1].rstrip()
    return whole + (b"" if whole.endswith(b"{") else b",") + ours[1:]


def entity_tag(raw: bytes, controller: str, annotations: Mapping[str, str]) -> str:
    """
    The ETag of a representation, without quotes.

    The same for the same content in whatever order a Controller writes it: its list and its single object may differ.
    Estimates are not part of it: the clock moves them, and a change that hangs on a tag means what was read.
    """
    whole = msgspec.json.encode([content(raw) or raw, controller, annotations], order="sorted")
    return blake2b(whole, digest_size=16).hexdigest()


def content(raw: bytes) -> Mapping[str, object]:
    """The object, read whole; empty when a number in it is beyond all numbers, which no poll looks at."""
    try:
        found: Mapping[str, object] = msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return {}
    return found
