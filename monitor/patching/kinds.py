"""The kinds of object that clients read and annotate, as requests and problems name them. Pure."""

from typing import Final

from msgspec import Struct

from monitor.model.errors import ProblemKind


class ObjectKind(Struct, frozen=True):
    """
    One kind.

    ``resource``: its name in `Entry.collections`. ``noun``: for texts. ``missing``, ``ambiguous``: the problems when no
    controller has an object, and when several have it.
    """

    resource: str
    noun: str
    missing: ProblemKind
    ambiguous: ProblemKind


IMAGE: Final = ObjectKind("image", "image", "no-such-image", "ambiguous-image")
UNIT: Final = ObjectKind("upgrade", "unit", "no-such-unit", "ambiguous-unit")
