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
        self._unwritten: set[str] = set()
        self._synced = False

    def in_progress(self, controller: str) -> bool:
        """Whether an upgrade that began in the last `MAX_AGE_S` had not ended when it was heard of last."""
        since = self._since.get(controller)
        return since is not None and self._now() - since <= MAX_AGE_S

    def set(self, controller: str, *, in_progress: bool) -> None:
        """Note whether it is being upgraded; the next flush writes what has changed."""
        before = self._since.get(controller)
        if in_progress != (before is not None):
            self._unwritten.add(controller)
            before = self._now() if in_progress else None
        self._since[controller] = before

    def mark_unsynced(self) -> None:
        """Compare with the database at the next flush: it may be another one now."""
        self._synced = False

    async def flush(self) -> None:
        """
        Write what changed since the last time.

        Raises: StoreError; what could not be written stays to be written.
        """
        if not self._synced:
            await self._read()
        if not self._unwritten:
            return
        changed = sorted(self._unwritten)
        columns = upgrades_in_progress.c
        rows = [{"controller": name, "since": since} for name in changed if (since := self._since[name]) is not None]
        async with writing(self._database, self._unwritten, changed) as connection:
            for name in changed:
                await connection.execute(delete(upgrades_in_progress).where(columns.controller == name))
            if rows:
                await connection.execute(insert(upgrades_in_progress), rows)

    async def _read(self) -> None:
        """Learn what the database alone has; what it lacks, has otherwise, or has for too long is to be written."""
        async with self._database.transaction(writes=False) as connection:
            rows = (await connection.execute(select(upgrades_in_progress))).all()
        stored: dict[str, float] = {row.controller: min(row.since, self._now()) for row in rows}
        for controller, since in stored.items():
            self._since.setdefault(controller, since if self._now() - since <= MAX_AGE_S else None)
        self._unwritten.update(name for name, since in self._since.items() if stored.get(name) != since)
        self._synced = True
