"""
Annotations and the audit: written durably before a client is told that its change was made.

Owns the annotations in memory, which serve all reads, and the outcomes that could not be written. These are written in
order when the database is back, and every intent that this process will not finish gets an outcome. One write at a
time; while the database is down, writes fail at once, so that clients do not queue for a timeout each.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar, Unpack

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.errors import DatabaseTaken, StoreError
from monitor.patching.annotations import AnnotationChange
from monitor.patching.audit import Entry, Intent, Outcome, Record, Search, encode
from monitor.store import audit_queries
from monitor.store.audit_queries import Head, StoredAnnotation, draft, draft_pair
from monitor.store.database import Database

T = TypeVar("T")

_ABANDONED: Final = Outcome(
    kind="unknown", detail="the daemon ended while the change was in flight; check the image before you repeat it"
)
_NOT_STARTED: Final = Outcome(kind="failed", detail="nothing was changed: the database did not answer in time")


class _Finished(Struct, frozen=True):
    """An intent whose change has ended, and what is to be written about it."""

    number: int
    intent: Intent
    outcome: Outcome
    annotations: AnnotationChange | None
    at: float


class AuditLog:
    """
    The audit records (who changed what on which object), and the annotations of images and units.

    ``now``: Unix seconds. ``on_failure``: called for each write of the audit that failed. ``on_annotations_read``:
    called after the annotations were read from the database again, to update metrics, API and events.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], float],
        on_failure: Callable[[], None] = lambda: None,
        on_annotations_read: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._now = now
        self._on_failure = on_failure
        self._on_annotations_read = on_annotations_read
        self._log = structlog.get_logger()
        self._lock = asyncio.Lock()
        self._annotations: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None
        self._head: Head | None = None
        """The head of the chain when a standby read the annotations last."""
        self._in_flight: set[int] = set()
        self._unconfirmed: dict[int, str] = {}
        """The texts of intents whose write failed, by number: they may have been committed all the same."""
        self._pending: deque[_Finished] = deque()
        self._unsynced = True
        """Whether memory and database may differ: not read yet, or a write failed with an unknown result."""

    @property
    def annotations_known(self) -> bool:
        """Whether the annotations have been read once."""
        return self._annotations is not None

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """
        Return the annotations on a controller by `Intent.work_id`; where there are none, it is absent.

        The mapping of one is replaced by a change and never mutated: the same object has the same content.
        """
        return (self._annotations or {}).get(controller, {})

    async def begin(self, intent: Intent, *, at: float) -> int:
        """
        Write an intent; it is durable when this returns.

        Returns: the number of the intent, for `finish`. Raises: StoreError; the change must then not be made.
        """
        record = draft(intent, intent, at=at)
        async with self._writing(), self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            number = head[0] + 1
            self._unconfirmed[number] = record.text
            written = await audit_queries.append(connection, head, record)
        del self._unconfirmed[number]
        self._in_flight.add(number)
        self._log_records(intent.request_id, *written)
        return number

    async def finish(
        self, number: int, intent: Intent, outcome: Outcome, annotations: AnnotationChange | None, *, at: float
    ) -> None:
        """
        Write the outcome of an intent and the change of annotations that belongs to it, in one transaction.

        Raises: StoreError; both are then kept, and written when the database is back.
        """
        finished = _Finished(number, intent, outcome, annotations, at)
        written = False
        try:
            async with self._writing(number):
                await self._finish(finished)
            written = True
        finally:
            if not written:  # also when cancelled
                self._pending.append(finished)
                self._unsynced = True

    def require_writer(self) -> None:
        """Raises: StoreError when this process has lost the lock, as far as it can know without asking."""
        self._database.check_files()

    async def record(self, intent: Intent, outcome: Outcome, annotations: AnnotationChange | None, *, at: float) -> int:
        """
        Write an intent together with its outcome and the change of annotations, in one transaction.

        Returns: the number of the intent. Raises: StoreError; CommitUnknown when it may have been committed, and
        `reconcile` reads what the database has.
        """
        async with self._writing(), self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            pair = draft_pair(intent, outcome, number=head[0] + 1, at=at)
            written = await audit_queries.append(connection, head, *pair)
            after = await _change_annotations(connection, intent, annotations)
        self._set_annotations(intent, after)
        self._log_records(intent.request_id, *written)
        return head[0] + 1

    async def entries(self, **criteria: Unpack[Search]) -> tuple[Entry, ...]:
        """
        Return intents with their outcomes, the newest first.

        Raises: StoreError; AlteredRecord.
        """
        async with self._database.transaction(writes=False) as connection:
            return await audit_queries.search(connection, criteria)

    async def read_chain(self, use: Callable[[Iterator[Record], Head, Iterator[StoredAnnotation]], T]) -> T:
        """
        Call ``use`` with the whole chain, which is read a chunk at a time, its head, and all annotations.

        Returns: what ``use`` returns.

        Raises: StoreError; AlteredRecord.
        """
        async with self._database.transaction(writes=False, limited=False) as connection:
            return await connection.run_sync(lambda held: use(*audit_queries.read_chain(held)))

    def mark_unsynced(self) -> None:
        """Assume that the database differs from memory; `reconcile` reads it again."""
        self._unsynced = True

    async def reconcile(self) -> None:
        """
        Make memory and database equal: read annotations, write pending outcomes, close abandoned intents.

        Raises: StoreError.
        """
        async with self._lock:
            await self._reconcile()

    async def read(self) -> None:
        """Read what another daemon has written: the annotations, if the chain has grown. Raises: StoreError."""
        async with self._lock, self._database.transaction(writes=False) as connection:
            head = await audit_queries.read_head(connection)
            if head == self._head:
                return
            self._set_all(await audit_queries.read_annotations(connection))
            self._head = head
        self._on_annotations_read()

    @asynccontextmanager
    async def _writing(self, number: int | None = None) -> AsyncIterator[None]:
        """One write of the audit at a time. A write that fails may have been committed all the same."""
        try:
            self._database.require_up()  # fail at once instead of waiting for the lock
            async with self._lock:
                self._database.require_up()
                await self._reconcile()
                try:
                    yield
                except BaseException:
                    self._unsynced = True
                    raise
        except StoreError as error:
            if number is not None or not isinstance(error, DatabaseTaken):  # else the other daemon writes the audit
                self._on_failure()
                self._log.error("audit_write_failed", number=number, cause=str(error))
            raise

    async def _reconcile(self) -> None:
        if not self._unsynced:
            return
        await self._read_annotations()
        while self._pending:
            await self._finish(self._pending[0], retried=True)
            self._pending.popleft()
        await self._close_abandoned()
        self._unsynced = bool(self._pending)  # added by a client that disconnected in the meantime
        self._on_annotations_read()

    async def _read_annotations(self) -> None:
        async with self._database.transaction(writes=False) as connection:
            self._set_all(await audit_queries.read_annotations(connection))
        self._head = None

    def _set_all(self, stored: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        """Replace all annotations; those of an object that did not change stay the same mapping."""
        self._annotations = {
            controller: {uuid: self._same_or_new(controller, uuid, found) for uuid, found in images.items()}
            for controller, images in stored.items()
        }

    def _same_or_new(self, controller: str, uuid: str, found: Mapping[str, str]) -> Mapping[str, str]:
        known = self.annotations_of(controller).get(uuid)
        return known if known == found and known is not None else found

    async def _finish(self, finished: _Finished, *, retried: bool = False) -> None:
        async with self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            stored = await audit_queries.find_pair(connection, finished.number)
            drafts = _missing_records(finished, stored, head, retried=retried)
            written = await audit_queries.append(connection, head, *drafts)
            after = await _change_annotations(connection, finished.intent, finished.annotations if drafts else None)
        self._in_flight.discard(finished.number)
        self._set_annotations(finished.intent, after)
        self._log_records(finished.intent.request_id, *written)

    async def _close_abandoned(self) -> None:
        """Write an outcome for every open intent that is not in flight in this process."""
        async with self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            found = await audit_queries.find_open(connection)
            abandoned = [intent for intent in found if intent.number not in self._in_flight]
            drafts = [
                draft(self._outcome_of_abandoned(intent), intent, ends=intent.number, at=self._now())
                for intent in abandoned
            ]
            written = await audit_queries.append(connection, head, *drafts)
        self._unconfirmed.clear()
        for intent, outcome in zip(abandoned, written, strict=True):
            self._log_records(_request_id(intent), outcome)

    def _outcome_of_abandoned(self, intent: Record) -> Outcome:
        return _NOT_STARTED if self._unconfirmed.get(intent.number) == intent.text else _ABANDONED

    def _set_annotations(self, intent: Intent, after: Mapping[str, str] | None) -> None:
        """Replace the annotations in memory by those that were committed. None: they did not change."""
        if after is None:
            return
        objects = {**self.annotations_of(intent.controller), intent.work_id: after}
        if not after:
            del objects[intent.work_id]
        self._annotations = {**(self._annotations or {}), intent.controller: objects}

    def _log_records(self, request_id: str, *records: Record) -> None:
        """Log written records with their hashes: logs that are kept elsewhere anchor the chain."""
        for record in records:
            facts: dict[str, Any] = msgspec.json.decode(record.text)
            facts |= {
                "kind": "intent" if record.intent is None else "outcome",
                "number": record.number,
                "intent": record.intent,
                "controller": record.controller,
                "image_uuid": record.image_uuid,
                "actor": record.actor,
                "request_id": request_id,
                "hash": record.hash.hex(),
            }
            self._log.info("audit", **facts)


async def _change_annotations(
    connection: AsyncConnection, intent: Intent, change: AnnotationChange | None
) -> Mapping[str, str] | None:
    """Change the annotations of the intent's object. Returns: all of them after it; None when nothing changes."""
    if change is None:
        return None
    return await audit_queries.change_annotations(connection, intent.controller, intent.work_id, change)


def _missing_records(
    finished: _Finished, stored: tuple[object, object], head: Head, *, retried: bool
) -> tuple[Record, ...]:
    """
    Return the records of a finished intent that the database lacks.

    The intent is written again where the database does not have it, or has another outcome for it: that of a daemon
    that took over while this one had lost its lock.
    ``stored``: the texts of intent and outcome in the database. ``retried``: the database may have both, as the first
    try may have been committed.
    """
    intent, outcome = stored
    record = draft(finished.outcome, finished.intent, ends=finished.number, at=finished.at)
    if intent == encode(finished.intent):
        if outcome is None:
            return (record,)
        if retried and outcome == record.text:
            return ()
    return draft_pair(finished.intent, finished.outcome, number=head[0] + 1, at=finished.at)


def _request_id(intent: Record) -> str:
    """Return the request id of an intent; empty when its text was altered and cannot be read."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(intent.text, type=Intent).request_id
    return ""
