"""An image as our API returns it: the Controller's JSON followed by our members, and its entity tag. Pure."""

from collections.abc import Mapping

import msgspec

from monitor.model.digest import digest

_NONE: Mapping[str, float | int | str | None] = {}


def represent(
    raw: bytes,
    controller: str,
    annotations: Mapping[str, str],
    assessment: Mapping[str, float | int | str | None] = _NONE,
) -> bytes:
    """Append ``annotations``, ``controller`` and ``assessment`` to the Controller's object. ``raw``: a JSON object."""
    ours = msgspec.json.encode({"annotations": annotations, "controller": controller, **assessment})
    whole = raw.rstrip()[:-1].rstrip()
    return whole + (b"" if whole.endswith(b"{") else b",") + ours[1:]


def entity_tag(raw: bytes, controller: str, annotations: Mapping[str, str]) -> str:
    """
    Return the ETag of a representation, without quotes.

    It does not depend on the order of members, which may differ between the list and the single object.
    Estimates are no part of it: they change with the clock, and the condition of a PATCH is about the image.
    """
    whole = msgspec.json.encode([content(raw) or raw, controller, annotations], order="sorted")
    return digest(whole)[:16].hex()


def content(raw: bytes) -> Mapping[str, object]:
    """Decode the whole object; empty when a field that polls do not read has a number too large for a float."""
    try:
        found: Mapping[str, object] = msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return {}
    return found
