"""An object as our API returns it: the Controller's JSON followed by our members, and its entity tag. Pure."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from monitor.model.digest import digest

Assessment: TypeAlias = Mapping[str, float | int | str | tuple[str, ...] | None]
"""Further members of an object, which change with time."""

_NONE: Assessment = {}


def represent(
    raw: bytes,
    controller: str,
    annotations: Mapping[str, str],
    assessment: Assessment = _NONE,
) -> bytes:
    """Append ``annotations``, ``controller`` and ``assessment`` to the Controller's object. ``raw``: a JSON object."""
    ours = msgspec.json.encode({"annotations": annotations, "controller": controller, **assessment})
    whole = raw.rstrip()[:-1].rstrip()
    return whole + (b"" if whole.endswith(b"{") else b",") + ours[1:]


def entity_tag(raw: bytes, controller: str, annotations: Mapping[str, str]) -> str:
    """
    Return the ETag of a representation, without quotes.

    It does not depend on the order of members, which may differ between a list and one object alone. The assessment is
    left out: it changes with time, and an ``If-Match`` must fail only when the object itself has changed.
    """
    whole = msgspec.json.encode([content(raw) or raw, controller, annotations], order="sorted")
    return digest(whole)[:16].hex()


def content(raw: bytes) -> Mapping[str, object]:
    """
    Decode all members of an object.

    Returns an empty mapping where the JSON cannot be decoded as a whole: a poll decodes only the fields that it knows,
    so another field may have a number that is too large for a float.
    """
    try:
        found: Mapping[str, object] = msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return {}
    return found
