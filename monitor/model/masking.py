"""
Masks secrets in texts: in one pass, never in what it has put there itself. Pure.

Secrets and texts may both be chosen by a Controller. The work is bounded by the part of the text that is shown, and
the result never has more than two characters for one of the text.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from monitor.model.secret import SHORTEST_MASKED, Secret

MASK: Final = "<secret>"

Kind = Literal["session", "other"]

_MOST: Final[dict[Kind, int]] = {"session": 128, "other": 64}
"""How many secrets of a controller are remembered, so that a Controller that rotates them does not fill the memory."""


class SecretMask:
    """Finds any of many secrets, in all their forms."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        # By their first characters: a text is not compared with each of thousands.
        self._by_head: dict[str, set[str]] = {}
        for secret in secrets:
            for form in secret.forms:
                self._by_head.setdefault(form[:SHORTEST_MASKED], set()).add(form)
        self._longest = max((len(form) for forms in self._by_head.values() for form in forms), default=0)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where secrets begin and end, in order, without overlaps; the longest of those with one beginning."""
        at = 0
        while at <= len(text) - SHORTEST_MASKED:
            forms = self._by_head.get(text[at : at + SHORTEST_MASKED], ())
            length = max((len(form) for form in forms if text.startswith(form, at)), default=0)
            if length:
                yield at, at + length
            at += length or 1

    def clip(self, text: str, length: int) -> str:
        """Return the first characters of a text, masked; a secret that would be cut at the end is masked, too."""
        text = text[: self.reach(length)]
        return mask_spans(text, self.find(text))[:length]

    def reach(self, length: int) -> int:
        """Return how much of a text decides what its first ``length`` characters are when it is masked."""
        return length + (length // len(MASK) + 1) * self._longest


def mask_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Replace parts of a text by the mask. ``spans``: where they begin and end, by their beginning; may overlap."""
    parts: list[str] = []
    shown_from = 0
    for start, end in spans:
        if start >= shown_from:
            parts += text[shown_from:start], MASK
        shown_from = max(shown_from, end)
    return "".join([*parts, text[shown_from:]])


class KnownSecrets:
    """
    The last secrets that were held for one controller, those of ended sessions included.

    Those of sessions and accounts are remembered apart from the others: ever new cookies of a proxy must not make it
    forget a password.
    """

    def __init__(self) -> None:
        self._secrets: dict[Kind, dict[Secret, None]] = {kind: {} for kind in _MOST}
        self._mask: SecretMask | None = None

    def add(self, secret: Secret, kind: Kind = "session") -> None:
        """Remember a secret; the one of its kind that was added the longest ago may be forgotten for it."""
        known = self._secrets[kind]
        if secret not in known:
            self._mask = None
        known.pop(secret, None)
        known[secret] = None
        if len(known) > _MOST[kind]:
            del known[next(iter(known))]

    @property
    def mask(self) -> SecretMask:
        """The mask of all that are remembered."""
        if self._mask is None:
            self._mask = SecretMask(secret for known in self._secrets.values() for secret in known)
        return self._mask
