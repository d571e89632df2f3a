"""Passwords against real bcrypt hashes: what fits, what is remembered, and how many are computed at once."""

import asyncio
import threading

import bcrypt
import pytest

from monitor.model.secret import Secret
from monitor.web.auth import passwords
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
        pytest.param("bob", b"wonderland", False, id="a-stranger"),
        pytest.param("alice", b"wonder\0land", False, id="a-null-byte"),
        pytest.param("long", b"x" * 72 + b"whatever", True, id="longer-than-bcrypt-looks"),
        pytest.param("long", b"x" * 71, False, id="shorter"),
    ],
)
async def test_a_password(user: str, password: bytes, right: bool) -> None:
    kept = Passwords()
    assert await kept.check(user, password, USERS) is right
    assert await kept.remembers(user, password, USERS) is right


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
async def test_hashes_of_every_tool_fit(prefix: str) -> None:
    users = {"alice": Secret(USERS["alice"].reveal().replace("$2b$", prefix))}
    assert await Passwords().check("alice", b"wonderland", users)


async def test_a_hash_that_only_looks_like_one_lets_nobody_in() -> None:
    assert not await Passwords().check("alice", b"x", {"alice": Secret("$2b$04$" + "!" * 53)})


async def test_a_changed_hash_ends_what_its_predecessor_let_in() -> None:
    kept = Passwords()
    assert await kept.check("alice", b"wonderland", USERS)
    assert not await kept.remembers("alice", b"wonderland", {"alice": hashed(b"wonderland")})
    assert not await kept.remembers("alice", b"wonderland", {})
    assert await kept.remembers("alice", b"wonderland", USERS)


async def test_the_border_between_name_and_password_is_part_of_what_is_remembered() -> None:
    users = {"ab": hashed(b"c"), "a": hashed(b"bc")}
    kept = Passwords()
    assert await kept.check("ab", b"c", users)
    assert not await kept.remembers("a", b"bc", users)


async def test_of_remembered_ones_the_longest_unused_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_REMEMBERED", 2)
    users = {name: hashed(name.encode()) for name in "abc"}
    kept = Passwords()
    assert await kept.check("a", b"a", users)
    assert await kept.check("b", b"b", users)
    assert await kept.remembers("a", b"a", users)
    assert await kept.check("c", b"c", users)
    assert [name for name in "abc" if await kept.remembers(name, name.encode(), users)] == ["a", "c"]


async def test_nothing_of_a_password_is_kept_in_clear() -> None:
    kept = Passwords()
    assert await kept.check("alice", b"wonderland", USERS)
    assert "wonderland" not in repr(vars(kept))


class Counted:
    """bcrypt, and how often it ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashes: list[bytes] = []
        self._real = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", self)

    def __call__(self, password: bytes, against: bytes) -> bool:
        self.hashes.append(against)
        return self._real(password, against)


async def test_a_stranger_costs_as_much_as_the_costliest_user(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    users = {"cheap": hashed(b"x"), "dear": Secret(f"$2b$05${'.' * 53}")}
    assert not await Passwords().check("stranger", b"x", users)
    assert [each[:7] for each in counted.hashes] == [b"$2b$05$"]


async def test_the_same_right_credential_many_times_at_once_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    kept = Passwords()

    async def come() -> bool:
        return await kept.remembers("alice", b"wonderland", USERS) or await kept.check("alice", b"wonderland", USERS)

    async with asyncio.TaskGroup() as tasks:
        every = [tasks.create_task(come(), name="come") for _ in range(20)]
    assert all(task.result() for task in every)
    assert len(counted.hashes) == 1


async def test_it_is_busy_while_too_many_wait_and_free_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_WAITING", 3)
    gate = threading.Event()
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: gate.wait(WAIT_TIMEOUT_S) and False)
    kept = Passwords()
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            assert not kept.busy
            tasks.create_task(kept.check("alice", str(number).encode(), USERS), name="guess")
            await asyncio.sleep(0)
        assert kept.busy
        gate.set()
    assert not kept.busy
