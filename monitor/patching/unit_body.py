"""
Decode the body of a PATCH of a unit, of which only annotations can be changed. Pure.

The forms are those of `monitor.patching.body`.
"""

from collections.abc import Iterator
from typing import Final

from monitor.model.errors import PatchProblem
from monitor.patching.annotations import member, quoted
from monitor.patching.body import FORMS, Patch, decode_tree, split_pointer
from monitor.patching.fields import Json
from monitor.patching.strict_json import decode_json

_CHANGEABLE: Final = frozenset({"annotations", "_last_modified"})


def decode_annotations(body: bytes) -> Patch:
    """
    Decode the body of a PATCH that has annotations alone, and perhaps ``_last_modified``.

    Raises: PatchProblem, as `decode_patch`; of the kind read-only-field for every other member.
    """
    tree = decode_json(body)
    for name, path in _members(tree):
        if name not in _CHANGEABLE:
            detail = f"{quoted(name)} cannot be changed here: only annotations can, which stay in this monitor"
            raise PatchProblem("read-only-field", detail, path)
    return decode_tree(tree)


def _members(tree: Json) -> Iterator[tuple[str, str]]:
    """Yield each member that the body names, and its JSON path; what has no known form is left to `decode_tree`."""
    for name, content in tree.items() if isinstance(tree, dict) else ():
        if name not in FORMS:
            yield name, member("$", name)
        elif isinstance(content, dict):
            yield from ((inner, member(f"$.{name}", inner)) for inner in content)
        elif isinstance(content, list):
            paths = [step.get("path") if isinstance(step, dict) else None for step in content]
            for index, path in enumerate(paths):
                if isinstance(path, str) and path.startswith("/"):
                    yield split_pointer(path)[0], f"$.{name}[{index}].path"
