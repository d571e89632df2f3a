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
from monitor.store import writer_row
from monitor.store.audit_log import AuditLog
from monitor.store.database import TRANSACTION_TIMEOUT_S, Database
from monitor.store.engines import LogIn
from monitor.store.progress_marks import ProgressMarks
from monitor.store.upgrade_logs import UpgradeLogs
from monitor.store.upgrades import Upgrades
from monitor.store.upload_history import UploadHistory

FLUSH_INTERVAL_S = 2.0  # the most that a kill -9 can lose of the marks, and that only restarts a stall clock
RETRY_INTERVAL_S = 0.5  # how often a standby asks for the lock: a part of the time that a takeover takes


class Store:
    """
    One database by URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory), ``postgresql://…``.

    ``now``: Unix seconds, for the outcomes that the store itself has to write, and to recognize moments in the future.
    ``log_in``: see `Database`. ``on_audit_failure``, ``on_annotations_read``: see `AuditLog`.
    """

    def __init__(
        self,
        url: str,
        *,
        log_in: LogIn | None = None,
        busy_timeout_ms: int = 1000,
        transaction_timeout_s: float = TRANSACTION_TIMEOUT_S,
        now: Callable[[], float] = time.time,  # noqa: TID251  the daemon passes its own; most tests need none
        on_audit_failure: Callable[[], None] = lambda: None,
        on_annotations_read: Callable[[], None] = lambda: None,
    ) -> None:
        self.database = Database(
            url, log_in=log_in, busy_timeout_ms=busy_timeout_ms, transaction_timeout_s=transaction_timeout_s
        )
        self.name = self.database.name
        self.marks = ProgressMarks(self.database, now=now)
        self.upload_history = UploadHistory(self.database, now=now)
        self.upgrades = Upgrades(self.database, now=now)
        self.upgrade_logs = UpgradeLogs(self.database)
        self._now = now
        self._own_url = ""
        self._written_url: str | None = None
        self.writer_url = ""
        """Where the writer is, as this daemon read it last as a standby; empty: not known."""
        self._parts = (self.marks, self.upload_history, self.upgrades, self.upgrade_logs)
        self.audit_log = AuditLog(
            self.database, now=now, on_failure=on_audit_failure, on_annotations_read=on_annotations_read
        )

    def advertise(self, url: str) -> None:
        """Tell the standbys where this daemon is, with the next flush."""
        self._own_url = url

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
    def standby(self) -> bool:
        """Whether another daemon is the writer, and this one shows what that writes."""
        return self.database.standby

    @property
    def answers(self) -> bool:
        """Whether the database works, for this daemon or for the writer."""
        return self.up or self.standby

    @property
    def not_ready_reason(self) -> str:
        """Why the database does not answer, without names, for any client; empty: it does."""
        return "" if self.answers else self.database.error.public

    @property
    def not_writer_reason(self) -> str:
        """Why this daemon is not the writer, without names, for any client; empty: it is."""
        return "" if self.up else self.database.error.public

    async def open(self) -> None:
        """
        Connect, migrate the schema, and reconcile memory and database. What is in memory already wins.

        Raises: DatabaseTaken; StoreError; NewerDatabase.
        """
        await self.database.open()
        for part in self._parts:
            part.mark_unsynced()
        self._written_url = None
        await self._write()

    async def flush(self) -> None:
        """
        Write what is to be written, or check that writing works; open the database again where needed.

        While another daemon is the writer, read what it has written.
        Raises: StoreError; what was not written stays to be written.
        """
        with suppress(StoreError):  # it is logged, and the database is opened again below
            self.database.check_files()
        if self.database.is_open:
            await self._write()
            return
        try:
            await self.open()
        except DatabaseTaken:
            await self._read()

    async def run(self) -> None:
        """Flush periodically until cancelled, and as soon as a standby has got the lock."""
        while True:
            for _ in range(round(FLUSH_INTERVAL_S / RETRY_INTERVAL_S)):
                await asyncio.sleep(RETRY_INTERVAL_S)
                if self.standby and await self.database.take_over():
                    break
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
            for part in self._parts:
                await part.flush()
            if not self.database.up:
                self.audit_log.mark_unsynced()  # reconciling always writes something, which shows that writing works
            await self.audit_log.reconcile()
            if self._written_url != self._own_url:
                async with self.database.transaction() as connection:
                    await writer_row.set_url(connection, self._own_url, since=self._now())
                self._written_url = self._own_url
        except StoreError as error:
            raise self.database.mark_down(error) from error  # also errors about the content, which nothing else logs
        self.database.mark_up()

    async def _read(self) -> None:
        """
        Read what the writer has written; nothing from a writer of an earlier version.

        Annotations are read whenever they have changed. All else this daemon learns by its own polls, and reads once.
        """
        try:
            async with self.database.transaction(writes=False) as connection:
                from monitor.store.migrate import is_migrated  # noqa: PLC0415  it imports alembic

                same_version = await connection.run_sync(is_migrated)
                self.writer_url = await writer_row.read_url(connection) if same_version else ""
            if same_version:
                for part in self._parts:
                    await part.read()
                await self.audit_log.read()
        except StoreError as error:
            raise self.database.mark_down(error) from error
        self.database.mark_standby()
