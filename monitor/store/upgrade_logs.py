"""What was seen of the last upgrades of each controller: served from memory, and written behind."""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select

from monitor.model.upgrade_log import UpgradeLog
from monitor.polling.upgrade_log import MAX_LOGS, Logs
from monitor.store.database import Database
from monitor.store.tables import upgrade_logs
from monitor.store.write_behind import writing

_decoder: Final = msgspec.json.Decoder(UpgradeLog)

_Key = tuple[str, float]
"""The controller, and when the upgrade began."""


class UpgradeLogs:
    """Where memory and database differ, memory wins."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logs: dict[str, Logs] = {}
        """By controller."""
        self._dirty: set[_Key] = set()
        """The logs of which memory and database may differ."""
        self._controllers: frozenset[str] | None = None
        """Those to keep the logs of; None: all."""
        self._unsynced = True

    def of(self, controller: str) -> Logs:
        """Return the logs of a controller."""
        return self._logs.get(controller, ())

    def set(self, controller: str, logs: Logs) -> None:
        """Replace the logs of a controller; the next flush writes those that differ."""
        before = self.of(controller)
        if logs is before:
            return
        self._logs[controller] = logs
        known = {log.began_at: log for log in before}
        differing = {log.began_at for log in logs if known.pop(log.began_at, None) is not log}
        self._dirty.update((controller, began_at) for began_at in differing | known.keys())

    def keep_only(self, controllers: Collection[str]) -> None:
        """Forget the logs of all other controllers; the database does at the next flush."""
        self._controllers = frozenset(controllers)
        for controller in self._logs.keys() - self._controllers:
            self.set(controller, ())

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
        columns = upgrade_logs.c
        for key in sorted(self._dirty):
            controller, began_at = key
            log = next((log for log in self.of(controller) if log.began_at == began_at), None)
            async with writing(self._database, self._dirty, [key]) as connection:
                this_one = (columns.controller == controller) & (columns.began_at == began_at)
                await connection.execute(delete(upgrade_logs).where(this_one))
                if log is not None:
                    row = {"controller": controller, "began_at": began_at, "log": msgspec.json.encode(log).decode()}
                    await connection.execute(insert(upgrade_logs), [row])

    async def _reconcile(self) -> None:
        """Take from the database what memory lacks, and is of controllers that are kept; write the rest later."""
        async with self._database.transaction(writes=False) as connection:
            rows = (await connection.execute(select(upgrade_logs))).all()
        stored: dict[_Key, UpgradeLog | None] = {(row.controller, row.began_at): _decode(row.log) for row in rows}
        for controller in {controller for controller, _ in stored}:
            if self._controllers is None or controller in self._controllers:
                merged = {began_at: log for (name, began_at), log in stored.items() if log and name == controller}
                merged |= {log.began_at: log for log in self.of(controller)}
                self._logs[controller] = tuple(merged[began_at] for began_at in sorted(merged))[-MAX_LOGS:]
        known = {(controller, log.began_at): log for controller, logs in self._logs.items() for log in logs}
        self._dirty = {key for key in stored.keys() | known.keys() if known.get(key) != stored.get(key)}
        self._dirty |= {key for key, log in stored.items() if log is None}
        self._unsynced = False


def _decode(text: str) -> UpgradeLog | None:
    """Return None for what makes no sense: another version of the daemon wrote it, and it is no loss."""
    with suppress(msgspec.MsgspecError, TypeError):
        return _decoder.decode(text)
    return None
