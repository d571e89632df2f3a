"""A text that must not be shown in logs, messages or metrics."""

from typing import ClassVar
from weakref import WeakValueDictionary


class Secret:
    """
    A text that prints as ``<secret>``.

    ``instances``: all secrets that exist, so that the log can mask them wherever they appear. ``created``: how many
    were ever created, so that what is computed from ``instances`` can be cached.
    """

    __slots__ = ("__weakref__", "_text")
    instances: ClassVar["WeakValueDictionary[int, Secret]"] = WeakValueDictionary()
    created: ClassVar[int] = 0

    def __init__(self, text: str) -> None:
        self._text = text
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
