"""
The database: what must outlive the process. Progress marks, what earlier uploads took, annotations and the audit.

Reads and metrics never wait for it: marks and annotations are served from memory. A database that is locked, full,
read-only, gone or another monitor's is said once, retried for ever, and of one mind with memory again when it is back.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from monitor.model.errors import StoreError
from monitor.store.audit_log import AuditLog
from monitor.store.database import LIMIT_S, Database
from monitor.store.progress_marks import ProgressMarks
from monitor.store.upload_history import UploadHistory

ROUND_S = 2.0  # how often marks are written: the most that a kill -9 can lose, and that only restarts a stall clock


class Store:
    """
    One database by URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory), ``postgresql://…``.

    ``now``: Unix seconds, for the outcomes that the store itself has to write.
    """

    def __init__(
        self,
        url: str,
        *,
        busy_timeout_ms: int = 1000,
        limit_s: float = LIMIT_S,
        now: Callable[[], float] = time.time,  # noqa: TID251  app.py gives its own; most tests need none
    ) -> None:
        self.database = Database(url, busy_timeout_ms=busy_timeout_ms, limit_s=limit_s)
        self.name = self.database.name
        self.marks = ProgressMarks(self.database)
        self.upload_history = UploadHistory(self.database)
        self.ledger = AuditLog(self.database, now=now)

    @property
    def up(self) -> bool:
        """Whether the last thing asked of the database was done."""
        return self.database.up

    async def open(self) -> None:
        """
        Connect, bring the schema up to date, read what is kept. What was settled meanwhile stands.

        Raises: StoreError; NewerDatabase.
        """
        await self.database.open()
        self.marks.doubt()
        self.upload_history.doubt()
        await self._write()

    async def flush(self) -> None:
        """
        Write what is to be written, or see that it could be; open the database where that is needed.

        Raises: StoreError; what could not be written stays to be written.
        """
        with suppress(StoreError):  # it was said; what is lost is opened anew at once
            await self.database.probe()
        await (self._write() if self.database.is_open else self.open())

    async def run(self) -> None:
        """Write behind for ever."""
        while True:
            await asyncio.sleep(ROUND_S)
            await self.try_flush()

    async def try_flush(self) -> None:
        """Flush; a database that does not answer is said once, not raised."""
        with suppress(StoreError):
            await self.flush()

    async def close(self) -> None:
        """Let go of the database, within about two seconds."""
        await self.database.close()

    async def _write(self) -> None:
        try:
            await self.marks.flush()
            await self.upload_history.flush()
            if not self.database.up:
                self.ledger.doubt()  # makes it write something in any case, be it nothing new: that shows that it can
            await self.ledger.heal()
        except StoreError as error:
            raise self.database.fall(error) from error  # of what the database holds, too: nobody else would say it
        self.database.rise()
