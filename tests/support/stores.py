"""Stores on real databases: opened, closed and recovered, and what tests write into them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
from sqlalchemy import create_engine, text

from monitor.patching.annotations import AnnotationChange
from monitor.patching.audit import Intent, Outcome, faults
from monitor.store import Store
from monitor.store.migrate import migrate
from tests.support.limits import WAIT_TIMEOUT_S

DONE = Outcome(kind="done", answer=200)
UNKNOWN = Outcome(
    kind="unknown", detail="the daemon ended while the change was in flight; check the image before you repeat it"
)
NOT_BEGUN = Outcome(kind="failed", detail="nothing was changed: the database did not answer in time")
TICKET = AnnotationChange({"ticket": "CHG-1"})
NOW = 1_000.5

_requests = count(1)


def migrated_url(folder: Path) -> str:
    """
    The URL of a file in the folder; one that is missing is made, with the schema of this version and no rows.

    To migrate an empty file takes half the processor time of a start of the daemon.
    """
    file = folder / "state.db"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(_migrated_file())
    return f"sqlite:///{file}"


@cache
def _migrated_file() -> bytes:
    with TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/state.db")
        with engine.begin() as connection:
            migrate(connection)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        engine.dispose()
        return Path(folder, "state.db").read_bytes()


@asynccontextmanager
async def opened(
    url: str,
    *,
    now: Callable[[], float] = lambda: NOW,
    transaction_timeout_s: float = 30.0,
    busy_timeout_ms: int = 1_000,
    on_audit_failure: Callable[[], None] = lambda: None,
) -> AsyncIterator[Store]:
    """
    A store that is up, closed at the end without a last flush, as by a kill.

    ``transaction_timeout_s``: longer than in life, so that a slow machine is not taken for a dead database.
    """
    store = Store(
        url,
        now=now,
        transaction_timeout_s=transaction_timeout_s,
        busy_timeout_ms=busy_timeout_ms,
        on_audit_failure=on_audit_failure,
    )
    async with closing(store):
        await store.open()
        yield store


@asynccontextmanager
async def closing(store: Store) -> AsyncIterator[Store]:
    """A store that the test opens itself, or tries to; at the end none of its threads runs any more."""
    try:
        yield store
    finally:
        await store.close()
        # it waits for them for two seconds, and on a busy machine they may take longer
        await store.database._threads.wait()


def intent(image_uuid: str = "image-1", *, controller: str = "dc1", actor: str = "alice", **asked: object) -> Intent:
    """What an operator asks for; no two are equal."""
    return Intent(
        request_id=f"r-{next(_requests)}",
        actor=actor,
        source="192.0.2.7",
        controller=controller,
        image_uuid=image_uuid,
        asked=asked,
    )


async def chain_faults(store: Store) -> list[str]:
    """Every fault of the chain."""
    return await store.audit_log.read_chain(lambda records, head, _: list(faults(records, head)))


def is_up(store: Store) -> bool:
    """Whether it is, now; asked of the attribute, mypy would hold on to the first answer."""
    return store.up


async def run(store: Store, statement: str, **values: object) -> None:
    """Change the database behind the store's back."""
    async with store.database.transaction() as connection:
        await connection.execute(text(statement), values)


async def recover(store: Store) -> None:
    """Flush as the daemon does, until the database is back."""
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not is_up(store):
            await store.try_flush()


async def lose_lock(store: Store, url: str) -> None:
    """Take the lock from a store, as a script that removes files does, or a server that ends sessions."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///") + "-lock").unlink()  # noqa: ASYNC240  it takes no time
        return
    killer = await asyncpg.connect(url)
    ours = "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    await killer.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE {ours}")  # noqa: S608  our own
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not store.database._lock.lost():
            await killer.execute("SELECT 1")
    await killer.close()
