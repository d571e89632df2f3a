"""A text that must not be shown in logs, messages or metrics."""

import json
from typing import ClassVar, Final
from urllib.parse import quote, quote_plus
from weakref import WeakValueDictionary

SHORTEST_MASKED: Final = 4
"""To mask a shorter secret would mask parts of ordinary words."""


class Secret:
    """
    A text that prints as ``<secret>``.

    ``instances``: all secrets that exist, so that the log can mask them wherever they appear. ``created``: how many
    were ever created, so that what is computed from ``instances`` can be cached.
    """

    __slots__ = ("__weakref__", "_text", "forms")
    instances: ClassVar["WeakValueDictionary[int, Secret]"] = WeakValueDictionary()
    created: ClassVar[int] = 0

    def __init__(self, text: str) -> None:
        self._text = text
        self.forms: Final = _forms(text)
        """What is masked of it: the text as it is, and as forms, URLs and JSON write it; nothing of a short one."""
        self.instances[id(self)] = self
        Secret.created += 1

    def reveal(self) -> str:
        """Return the text; to be called only where it is sent, hashed or compared."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


def _forms(text: str) -> tuple[str, ...]:
    if len(text) < SHORTEST_MASKED:
        return ()
    encoded = text.encode(errors="replace")  # a text of the operator's environment may have no UTF-8
    return tuple(dict.fromkeys((text, quote_plus(encoded), quote(encoded, safe=""), json.dumps(text)[1:-1])))
