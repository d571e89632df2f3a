"""Passwords against real bcrypt hashes: what matches, what is cached, and how many are computed at once."""

import asyncio
import threading

import bcrypt
import pytest

from monitor.model.secret import Secret
from monitor.web.auth.passwords import Passwords
from tests.support.limits import WAIT_TIMEOUT_S


def hashed(password: bytes) -> Secret:
    return Secret(bcrypt.hashpw(password, bcrypt.gensalt(4)).decode())


USERS = {"alice": hashed(b"wonderland"), "long": hashed(b"x" * 72)}


@pytest.mark.parametrize(
    ("user", "password", "right"),
    [
        pytest.param("alice", b"wonderland", True, id="right"),
        pytest.param("alice", b"wonderlan", False, id="wrong"),
        pytest.param("alice", b"", False, id="empty"),
        pytest.param("bob", b"wonderland", False, id="unknown-user"),
        pytest.param("alice", b"wonder\0land", False, id="null-byte"),
        pytest.param("long", b"x" * 72 + b"whatever", True, id="longer-than-bcrypt-reads"),
        pytest.param("long", b"x" * 71, False, id="shorter"),
    ],
)
async def test_a_password_is_right_when_its_hash_matches_and_cached_then(
    user: str, password: bytes, right: bool
) -> None:
    passwords = Passwords()
    assert await passwords.verify(user, password, USERS) is right
    assert await passwords.is_cached(user, password, USERS) is right


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
async def test_hashes_of_every_tool_match(prefix: str) -> None:
    users = {"alice": Secret(USERS["alice"].reveal().replace("$2b$", prefix))}
    assert await Passwords().verify("alice", b"wonderland", users)


async def test_a_malformed_hash_matches_no_password() -> None:
    assert not await Passwords().verify("alice", b"x", {"alice": Secret("$2b$04$" + "!" * 53)})


async def test_a_cached_credential_ends_with_its_hash() -> None:
    passwords = Passwords()
    assert await passwords.verify("alice", b"wonderland", USERS)
    assert not await passwords.is_cached("alice", b"wonderland", {"alice": hashed(b"wonderland")})
    assert not await passwords.is_cached("alice", b"wonderland", {})
    assert await passwords.is_cached("alice", b"wonderland", USERS)


async def test_user_and_password_are_cached_apart() -> None:
    users = {"ab": hashed(b"c"), "a": hashed(b"bc")}
    passwords = Passwords()
    assert await passwords.verify("ab", b"c", users)
    assert not await passwords.is_cached("a", b"bc", users)


async def test_the_cache_drops_the_least_recently_used_credential() -> None:
    users = {name: hashed(name.encode()) for name in "abc"}
    passwords = Passwords(cache_size=2)
    assert await passwords.verify("a", b"a", users)
    assert await passwords.verify("b", b"b", users)
    assert await passwords.is_cached("a", b"a", users)
    assert await passwords.verify("c", b"c", users)
    assert [name for name in "abc" if await passwords.is_cached(name, name.encode(), users)] == ["a", "c"]


async def test_no_password_is_kept_in_clear_text() -> None:
    passwords = Passwords()
    assert await passwords.verify("alice", b"wonderland", USERS)
    assert "wonderland" not in repr(vars(passwords))


class CountingBcrypt:
    """The real ``bcrypt.checkpw``, with a list of the hashes that it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashes: list[bytes] = []
        self._real = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", self)

    def __call__(self, password: bytes, against: bytes) -> bool:
        self.hashes.append(against)
        return self._real(password, against)


async def test_an_unknown_user_costs_as_much_as_the_costliest_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = CountingBcrypt(monkeypatch)
    users = {"cheap": hashed(b"x"), "dear": Secret(f"$2b$05${'.' * 53}")}
    assert not await Passwords().verify("unknown", b"x", users)
    assert [each[:7] for each in counted.hashes] == [b"$2b$05$"]


async def test_parallel_checks_of_one_right_credential_compute_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = CountingBcrypt(monkeypatch)
    passwords = Passwords()

    async def log_in() -> bool:
        return await passwords.is_cached("alice", b"wonderland", USERS) or await passwords.verify(
            "alice", b"wonderland", USERS
        )

    async with asyncio.TaskGroup() as tasks:
        checks = [tasks.create_task(log_in(), name="log-in") for _ in range(20)]
    assert all(task.result() for task in checks)
    assert len(counted.hashes) == 1


async def test_it_is_busy_while_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: gate.wait(WAIT_TIMEOUT_S) and False)
    passwords = Passwords(max_waiting=3)
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            assert not passwords.is_busy("alice", USERS)
            tasks.create_task(passwords.verify("alice", str(number).encode(), USERS), name="guess")
            await asyncio.sleep(0)
        assert passwords.is_busy("alice", USERS)
        gate.set()
    assert not passwords.is_busy("alice", USERS)


async def test_half_of_the_queue_is_kept_for_users_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: gate.wait(WAIT_TIMEOUT_S) and False)
    passwords = Passwords(max_waiting=4)
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            assert not passwords.is_busy("eve", USERS)
            tasks.create_task(passwords.verify("eve", str(number).encode(), USERS), name="guess")
            await asyncio.sleep(0)
        assert passwords.is_busy("eve", USERS)
        assert not passwords.is_busy("alice", USERS)
        gate.set()
