"""
Checks passwords against bcrypt hashes: in threads, a few at once, and cached once they were right.

The cache is keyed by a digest under a random key, which is of no use outside this process.
"""

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

import bcrypt

from monitor.model.secret import Secret

CACHE_SIZE = 128  # credentials; without a cache each scrape would cost 50 ms of a core
MAX_WAITING = 32  # checks; they take some seconds together, and more is a flood
_MAX_CONCURRENT = 2  # bcrypt uses a whole core; the other threads are for files and name resolution
_MAX_PASSWORD_BYTES = 72  # bcrypt ignores the rest everywhere; the library raises for longer ones instead


class Passwords:
    """``cache_size``: how many right credentials are remembered. ``max_waiting``: checks that may be queued."""

    def __init__(self, *, cache_size: int = CACHE_SIZE, max_waiting: int = MAX_WAITING) -> None:
        self._cache_size = cache_size
        self._max_pending = _MAX_CONCURRENT + max_waiting
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._pending: dict[bytes, asyncio.Event] = {}
        self._semaphore = asyncio.Semaphore(_MAX_CONCURRENT)

    def is_busy(self, user: str, users: Mapping[str, Secret]) -> bool:
        """Whether the queue of checks is full; half of it is kept for users that exist."""
        most = self._max_pending if user in users else self._max_pending // 2
        return len(self._pending) >= most

    async def is_cached(self, user: str, password: bytes, users: Mapping[str, Secret]) -> bool:
        """Whether it was right before, with the present hash; waits for a check of the same credential that runs."""
        digest = self._digest(user, password, users)
        while event := self._pending.get(digest):
            await event.wait()
        if digest not in self._verified:
            return False
        self._verified.move_to_end(digest)
        return True

    async def verify(self, user: str, password: bytes, users: Mapping[str, Secret]) -> bool:
        """Compute the hash; an unknown user takes as long as a known one."""
        digest = self._digest(user, password, users)
        event = self._pending[digest] = asyncio.Event()
        try:
            async with self._semaphore:
                right = await asyncio.to_thread(_matches, password, _hash_of(user, users))
        finally:
            del self._pending[digest]
            event.set()
        if not right or user not in users:
            return False
        self._verified[digest] = None
        if len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)
        return True

    def _digest(self, user: str, password: bytes, users: Mapping[str, Secret]) -> bytes:
        """Covers the hash, too, so that a cached credential ends when the hash is changed."""
        digest = hmac.new(self._key, digestmod=sha256)
        for part in (user.encode(), password, _hash_of(user, users).encode()):
            digest.update(len(part).to_bytes(4) + part)
        return digest.digest()


def _hash_of(user: str, users: Mapping[str, Secret]) -> str:
    """The user's hash; for an unknown user one that no password matches, with the highest cost in use."""
    if user in users:
        return users[user].reveal()
    cost = max((hashed.reveal()[4:6] for hashed in users.values()), default="10")
    return f"$2b${cost}${'.' * 53}"


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_MAX_PASSWORD_BYTES], hashed.encode())
    except ValueError:  # the hash is malformed
        return False
