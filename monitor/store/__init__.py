"""
The database: what must outlive the process. Progress marks, completed uploads, upgrades and their logs, annotations
and the audit.

Metrics and reads never wait for it: marks and annotations are served from memory. Any database failure (locked, full,
read-only, gone, opened by another daemon) is logged once and retried; memory and database are reconciled on recovery.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from monitor.model.errors import DatabaseTaken, StoreError
from monitor.store.audit_log import AuditLog
from monitor.store.database import TRANSACTION_TIMEOUT_S, Database
from monitor.store.progress_marks import ProgressMarks
from monitor.store.upgrade_logs import UpgradeLogs
from monitor.store.upgrades import Upgrades
from monitor.store.upload_history import UploadHistory

FLUSH_INTERVAL_S = 2.0  # the most that a kill -9 can lose of the marks, and that only restarts a stall clock


class Store:
    """
    One database by URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory), ``postgresql://…``.

    ``now``: Unix seconds, for the outcomes that the store itself has to write, and to recognize moments in the future.
    ``on_audit_failure``, ``on_annotations_read``: see `AuditLog`.
    """

    def __init__(
        self,
        url: str,
        *,
        busy_timeout_ms: int = 1000,
        transaction_timeout_s: float = TRANSACTION_TIMEOUT_S,
        now: Callable[[], float] = time.time,  # noqa: TID251  the daemon passes its own; most tests need none
        on_audit_failure: Callable[[], None] = lambda: None,
        on_annotations_read: Callable[[], None] = lambda: None,
    ) -> None:
        self.database = Database(url, busy_timeout_ms=busy_timeout_ms, transaction_timeout_s=transaction_timeout_s)
        self.name = self.database.name
        self.marks = ProgressMarks(self.database, now=now)
        self.upload_history = UploadHistory(self.database, now=now)
        self.upgrades = Upgrades(self.database, now=now)
        self.upgrade_logs = UpgradeLogs(self.database)
        self.audit_log = AuditLog(
            self.database, now=now, on_failure=on_audit_failure, on_annotations_read=on_annotations_read
        )

    def keep_only(self, controllers: Collection[str]) -> None:
        """Forget marks, completed uploads and logs of all other controllers; annotations and the audit stay."""
        self.marks.keep_only(controllers)
        self.upload_history.keep_only(controllers)
        self.upgrade_logs.keep_only(controllers)

    @property
    def up(self) -> bool:
        """Whether the database works: False from any failure until a flush has succeeded."""
        return self.database.up

    @property
    def answers(self) -> bool:
        """Whether it is up, or would be for the daemon that has it open."""
        return self.up or isinstance(self.database.error, DatabaseTaken)

    @property
    def not_ready_reason(self) -> str:
        """Why changes are refused at present, without names, for any client; empty: they are not."""
        return "" if self.up else self.database.error.public

    async def open(self) -> None:
        """
        Connect, migrate the schema, and reconcile memory and database. What is in memory already wins.

        Raises: StoreError; NewerDatabase.
        """
        await self.database.open()
        self.marks.mark_unsynced()
        self.upload_history.mark_unsynced()
        self.upgrades.mark_unsynced()
        self.upgrade_logs.mark_unsynced()
        await self._write()

    async def flush(self) -> None:
        """
        Write what is to be written, or check that writing works; open the database again where needed.

        Raises: StoreError; what was not written stays to be written.
        """
        with suppress(StoreError):  # it is logged, and the database is opened again in the next line
            await self.database.probe()
        await (self._write() if self.database.is_open else self.open())

    async def run(self) -> None:
        """Flush periodically until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            await self.try_flush()

    async def try_flush(self) -> None:
        """Flush; a failure of the database is logged, not raised."""
        with suppress(StoreError):
            await self.flush()

    async def close(self) -> None:
        """Close the database, within about two seconds."""
        await self.database.close()

    async def _write(self) -> None:
        try:
            await self.marks.flush()
            await self.upload_history.flush()
            await self.upgrades.flush()
            await self.upgrade_logs.flush()
            if not self.database.up:
                self.audit_log.mark_unsynced()  # reconciling always writes something, which shows that writing works
            await self.audit_log.reconcile()
        except StoreError as error:
            raise self.database.mark_down(error) from error  # also errors about the content, which nothing else logs
        self.database.mark_up()
