"""
Pseudonyms of names, uuids and addresses: each value has one, each of them in the form of the value. Pure.

What looks alike stays alike: an IPv4 address becomes one in 10/8, an IPv6 address one in fd00::/8, a uuid another with
the same prefix, and all else ``name-17``. Nothing but the table in memory leads back, once the key is gone.
"""

import re
from collections.abc import Callable, Hashable
from hashlib import sha256
from hmac import digest
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_PREFIXES: Final = (
    "image|cluster|serviceenginegroup|se|cloud|tenant|virtualservice|vsvip|pool|network|vrfcontext|systemreport"
    "|upgradestatusinfo|statediffoperation|user"
)
ID: Final = (
    rf"(?:(?:{_PREFIXES})-(?:(?:i|vm|avitag|[0-9a-f]{{1,7}})-)*[0-9a-f]{{8,}}|[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4,}}"
    r"|[0-9a-f]{16,})(?:-(?:avitag|[0-9a-f]+))*"
)
"""
A uuid, in the forms in which Controllers and clouds write it: ``image-<uuid4>``, ``se-i-0a1b2c3d4e5f60718``,
``se-005056b0a1b2-avitag-1``, and without a prefix.
"""

_WHOLE_ID: Final = re.compile(rf"(?:{ID})\Z", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9a-f]{4,}", re.IGNORECASE)


class Pseudonyms:
    """The pseudonyms of one recording. ``key``: random, and used for nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names: dict[str, str] = {}
        self._members: dict[str, str] = {}
        self._derived: dict[Hashable, str] = {}
        self._taken: set[str] = set()

    def name(self, text: str) -> str:
        """Return the pseudonym of a name: ``name-`` and a number."""
        return self._names.setdefault(text, f"name-{len(self._names) + 1}")

    def member(self, text: str) -> str:
        """Return the pseudonym of a member name that is not known."""
        return self._members.setdefault(text, f"member_{len(self._members) + 1}")

    def id(self, text: str) -> str | None:
        """Return the pseudonym of a uuid, the same for each prefix; None for a text that is none."""
        if not _WHOLE_ID.match(text):
            return None
        prefix, rest = _split(text)
        return prefix + self._derive(rest, lambda random: _scrambled(rest, random.hex()))

    def address(self, text: str) -> str | None:
        """Return the pseudonym of an IP address; None for a text that is none."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        if isinstance(address, IPv4Address):
            return self._derive(address, lambda random: str(IPv4Address(b"\x0a" + random[:3])))
        return self._derive(text, lambda random: str(IPv6Address(b"\xfd" + random[:15])))

    def _derive(self, value: Hashable, make: Callable[[bytes], str]) -> str:
        """Return what was made of random bytes for this value; no two values have the same."""
        attempt = 0
        while value not in self._derived:
            made = make(digest(self._key, f"{attempt} {value}".encode(errors="surrogatepass"), sha256))
            if made not in self._taken:
                self._taken.add(made)
                self._derived[value] = made
            attempt += 1
        return self._derived[value]


def _split(text: str) -> tuple[str, str]:
    """Return the prefix of a uuid with its hyphen, and the rest."""
    head, hyphen, rest = text.partition("-")
    return (head + hyphen, rest) if re.fullmatch(_PREFIXES, head, re.IGNORECASE) else ("", text)


def _scrambled(text: str, digits: str) -> str:
    """Replace hexadecimal digits, where there are four or more of them together. ``digits``: random ones."""
    source = iter(digits * (len(text) // len(digits) + 1))
    return _DIGITS.sub(lambda run: "".join(next(source) for _ in run[0]), text)
