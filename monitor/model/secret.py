"""A text that must not be shown."""

from typing import ClassVar
from weakref import WeakValueDictionary


class Secret:
    """
    A text that prints as ``<secret>`` wherever it is shown; ``reveal()`` is called where it goes on the wire.

    ``living`` holds every one that exists, so that the log can mask what escaped all the same; ``born`` counts all that
    ever did, so that what was made of ``living`` need not be made again.
    """

    __slots__ = ("__weakref__", "_text")
    living: ClassVar["WeakValueDictionary[int, Secret]"] = WeakValueDictionary()
    born: ClassVar[int] = 0

    def __init__(self, text: str) -> None:
        self._text = text
        self.living[id(self)] = self
        Secret.born += 1

    def reveal(self) -> str:
        """Give the text itself; called where it goes on the wire, nowhere else."""
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
