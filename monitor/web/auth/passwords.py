"""Passwords against bcrypt hashes: off the loop, few at once, and not again for one that was right."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b

import bcrypt

from monitor.model.secret import Secret

_REMEMBERED = 128  # credentials; a scrape every few seconds must not cost 50 ms of a core each
_AT_ONCE = 2  # bcrypt is made to cost; the other threads are for files and names
_WAITING = 32  # some seconds' worth; more than that is no log-in but a flood
_LONGEST = 72  # bytes that bcrypt looks at, everywhere; the library refuses longer ones instead


class Passwords:
    """Remembers right ones by a keyed digest, which tells nothing outside this process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Event] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether so many wait that one more would wait for ever."""
        return len(self._under_way) >= _AT_ONCE + _WAITING

    async def remembers(self, user: str, password: bytes, users: Mapping[str, Secret]) -> bool:
        """Whether it was right before, against the hash of today; waits for the same one that is being checked."""
        digest = self._digest(user, password, users)
        while event := self._under_way.get(digest):
            await event.wait()
        if digest not in self._right:
            return False
        self._right.move_to_end(digest)
        return True

    async def check(self, user: str, password: bytes, users: Mapping[str, Secret]) -> bool:
        """Compute; a user who is not there costs as much as one who is."""
        digest = self._digest(user, password, users)
        event = self._under_way[digest] = asyncio.Event()
        try:
            async with self._slots:
                right = await asyncio.to_thread(_fits, password, _hash_of(user, users))
        finally:
            del self._under_way[digest]
            event.set()
        if right and user in users:
            self._remember(digest)
            return True
        return False

    def _remember(self, digest: bytes) -> None:
        self._right[digest] = None
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)

    def _digest(self, user: str, password: bytes, users: Mapping[str, Secret]) -> bytes:
        """Of all three, so that a changed hash ends what its predecessor let in."""
        digest = blake2b(key=self._key)
        for part in (user.encode(), password, _hash_of(user, users).encode()):
            digest.update(len(part).to_bytes(4) + part)
        return digest.digest()


def _hash_of(user: str, users: Mapping[str, Secret]) -> str:
    """The user's; for a stranger one that nothing fits, as costly as the costliest."""
    if user in users:
        return users[user].reveal()
    cost = max((hashed.reveal()[4:6] for hashed in users.values()), default="10")
    return f"$2b${cost}${'.' * 53}"


def _fits(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_LONGEST], hashed.encode())
    except ValueError:  # a hash that only looks like one
        return False
