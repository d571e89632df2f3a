"""Which Controllers are being upgraded: so that a restart during an upgrade does not take it for a failure."""

from collections.abc import Callable

from sqlalchemy import delete, insert, select

from monitor.store.database import Database
from monitor.store.tables import upgrades_in_progress
from monitor.store.write_behind import writing

MAX_AGE_S = 2 * 3600.0  # as long as AviControllerUpgradeOverdue waits: then an upgrade is no excuse any more


class Upgrades:
    """
    Since when each controller is being upgraded. What was set in this process wins over what the database has.

    ``now``: Unix seconds.
    """

    def __init__(self, database: Database, *, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._since: dict[str, float | None] = {}
        """By controller; None: it is not being upgraded."""
        self._dirty: set[str] = set()
        """The controllers of which memory and database may differ."""
        self._unsynced = True

    def in_progress(self, controller: str) -> bool:
        """Whether an upgrade that began in the last `MAX_AGE_S` had not ended when it was heard of last."""
        since = self._since.get(controller)
        return since is not None and self._now() - since <= MAX_AGE_S

    def set(self, controller: str, *, in_progress: bool) -> None:
        """Note whether it is being upgraded; the next flush writes what has changed."""
        before = self._since.get(controller)
        if in_progress != (before is not None):
            self._dirty.add(controller)
            before = self._now() if in_progress else None
        self._since[controller] = before

    def mark_unsynced(self) -> None:
        """Compare memory with the database at the next flush: the database may be another one now."""
        self._unsynced = True

    async def read(self) -> None:
        """Take from the database what memory lacks, if that is still to be done. Raises: StoreError."""
        if self._unsynced:
            await self._reconcile()

    async def flush(self) -> None:
        """
        Write what changed since the last flush.

        Raises: StoreError; what was not written stays to be written.
        """
        await self.read()
        if not self._dirty:
            return
        changed = sorted(self._dirty)
        columns = upgrades_in_progress.c
        rows = [{"controller": name, "since": since} for name in changed if (since := self._since[name]) is not None]
        async with writing(self._database, self._dirty, changed) as connection:
            for name in changed:
                await connection.execute(delete(upgrades_in_progress).where(columns.controller == name))
            if rows:
                await connection.execute(insert(upgrades_in_progress), rows)

    async def _reconcile(self) -> None:
        """
        Take from the database what memory lacks.

        What the database lacks, has otherwise, or has for too long, is written later.
        """
        async with self._database.transaction(writes=False) as connection:
            rows = (await connection.execute(select(upgrades_in_progress))).all()
        stored: dict[str, float] = {row.controller: min(row.since, self._now()) for row in rows}
        for controller, since in stored.items():
            self._since.setdefault(controller, since if self._now() - since <= MAX_AGE_S else None)
        self._dirty.update(name for name, since in self._since.items() if stored.get(name) != since)
        self._unsynced = False
