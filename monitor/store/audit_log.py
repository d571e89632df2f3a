"""
Annotations and the audit: what may not be lost, written before anybody is told that it is.

Owns the annotations in memory, which are the truth for readers, and the conclusions that the database would not take;
these are written when it is back, in order. Of an intent that nobody will conclude any more it says so. One write at a
time; while the database is down none is tried, so that nobody waits in line for a time-out.
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

from monitor.model.errors import StoreError
from monitor.patching.annotations import Annotating
from monitor.patching.audit import Entry, Intent, Outcome, Record, Search, write
from monitor.store import audit_queries
from monitor.store.audit_queries import Head, draft, draft_pair
from monitor.store.database import Database

T = TypeVar("T")

_LEFT_OPEN: Final = Outcome(
    outcome="unknown", detail="the monitor ended while it was under way; look at the image before you repeat it"
)
_NOT_BEGUN: Final = Outcome(outcome="failed", detail="nothing was done: the database did not answer in time")


class _Conclusion(Struct, frozen=True):
    number: int
    intent: Intent
    ending: Outcome
    annotating: Annotating | None
    at: float


class AuditLog:
    """
    Who did what to which image, and what operators wrote on it.

    ``on_reread``: is called when annotations were read anew, so that what is shown can follow. ``on_failure``: is
    called for each write of the audit that failed. ``now``: Unix seconds.
    """

    def __init__(self, database: Database, *, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._log = structlog.get_logger()
        self._lock = asyncio.Lock()
        self._annotations: Mapping[str, Mapping[str, Mapping[str, str]]] = {}
        self._in_flight: set[int] = set()
        self._given_up: dict[int, str] = {}
        """Intents that may have been written although nobody was told so, and their texts."""
        self._pending: deque[_Conclusion] = deque()
        self._doubtful = True
        """Whether memory and database may differ: not read yet, or a write ended nobody knows how."""
        self.on_reread: Callable[[], None] = lambda: None
        self.on_failure: Callable[[], None] = lambda: None

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """
        Those of a controller's images, by uuid; an image without any is not there.

        An image's are replaced by a change, and never mutated: the same object says the same.
        """
        return self._annotations.get(controller, {})

    async def intend(self, intent: Intent, *, at: float) -> int:
        """
        Write what somebody is about to do; it is durable when this returns.

        Returns: the number of the intent, to be concluded. Raises: StoreError; it must then not be done.
        """
        record = draft(intent, intent, at=at)
        async with self._writing(), self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            number = head[0] + 1
            self._given_up[number] = record.text
            written = await audit_queries.append(connection, head, record)
        del self._given_up[number]
        self._in_flight.add(number)
        self._say(intent.request_id, *written)
        return number

    async def conclude(
        self, number: int, intent: Intent, ending: Outcome, annotating: Annotating | None, *, at: float
    ) -> None:
        """
        Write how an intent ended, once, and the annotations with it, in one transaction.

        Raises: StoreError; it is then kept, and written when the database is back.
        """
        conclusion = _Conclusion(number, intent, ending, annotating, at)
        written = False
        try:
            async with self._writing(number):
                await self._conclude(conclusion)
            written = True
        finally:
            if not written:  # also when cancelled
                self._pending.append(conclusion)
                self._doubtful = True

    async def record(self, intent: Intent, ending: Outcome, annotating: Annotating | None, *, at: float) -> int:
        """
        Write an intent that has already ended, its ending and the annotations, in one transaction.

        Returns: the number of the intent. Raises: StoreError; nothing is kept.
        """
        async with self._writing(), self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            pair = draft_pair(intent, ending, number=head[0] + 1, at=at)
            written = await audit_queries.append(connection, head, *pair)
            after = await _annotate(connection, intent, annotating)
        self._adopt(intent, after)
        self._say(intent.request_id, *written)
        return head[0] + 1

    async def entries(self, **search: Unpack[Search]) -> tuple[Entry, ...]:
        """
        Look up intents with their endings, the newest first; ``most``: 50.

        Raises: StoreError.
        """
        async with self._database.transaction() as connection:
            return await audit_queries.search(connection, search)

    async def read_chain(self, judge: Callable[[Iterator[Record], Head], T]) -> T:
        """
        Hand the whole chain and its head to a judge, a piece at a time; it must have done with it when it returns.

        Raises: StoreError.
        """
        async with self._database.transaction(limited=False) as connection:
            return await connection.run_sync(lambda held: judge(*audit_queries.walk(held)))

    def doubt(self) -> None:
        """Take nothing in memory for written; `heal` reads it again."""
        self._doubtful = True

    async def heal(self) -> None:
        """
        Be of one mind with the database again: read, write what is pending, end what nobody will end.

        Raises: StoreError.
        """
        async with self._lock:
            await self._heal()

    @asynccontextmanager
    async def _writing(self, number: int | None = None) -> AsyncIterator[None]:
        """One write of the audit, alone. What ended badly may have been committed all the same."""
        try:
            self._database.require_up()  # or it would wait for whoever finds out that it is down
            async with self._lock:
                self._database.require_up()
                await self._heal()
                try:
                    yield
                except BaseException:
                    self._doubtful = True
                    raise
        except StoreError as error:
            self.on_failure()
            self._log.error("audit_write_failed", number=number, cause=str(error))
            raise

    async def _heal(self) -> None:
        if not self._doubtful:
            return
        await self._reread()
        while self._pending:
            await self._conclude(self._pending[0], again=True)
            self._pending.popleft()
        await self._end_what_is_open()
        self._doubtful = bool(self._pending)  # of one who went while we were at it
        self.on_reread()

    async def _reread(self) -> None:
        """Take the annotations from the database; an image's that are as they were stay the same object."""
        async with self._database.transaction() as connection:
            found = await audit_queries.read_annotations(connection)
        self._annotations = {
            controller: {uuid: self._keep(controller, uuid, theirs) for uuid, theirs in images.items()}
            for controller, images in found.items()
        }

    def _keep(self, controller: str, uuid: str, found: Mapping[str, str]) -> Mapping[str, str]:
        known = self.annotations_of(controller).get(uuid)
        return known if known == found and known is not None else found

    async def _conclude(self, each: _Conclusion, *, again: bool = False) -> None:
        async with self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            begun, ended = await audit_queries.find_pair(connection, each.number)
            drafts = _missing(each, begun, ended, head, again=again)
            written = await audit_queries.append(connection, head, *drafts)
            after = await _annotate(connection, each.intent, each.annotating if drafts else None)
        self._in_flight.discard(each.number)
        self._adopt(each.intent, after)
        self._say(each.intent.request_id, *written)

    async def _end_what_is_open(self) -> None:
        """Write the outcome of every intent that nobody in this process will conclude."""
        async with self._database.transaction() as connection:
            head = await audit_queries.lock(connection)
            left = [each for each in await audit_queries.find_open(connection) if each.number not in self._in_flight]
            drafts = [draft(self._judge(each), each, ends=each.number, at=self._now()) for each in left]
            written = await audit_queries.append(connection, head, *drafts)
        self._given_up.clear()
        for begun, ended in zip(left, written, strict=True):
            self._say(_request_id(begun), ended)

    def _judge(self, intent: Record) -> Outcome:
        return _NOT_BEGUN if self._given_up.get(intent.number) == intent.text else _LEFT_OPEN

    def _adopt(self, intent: Intent, after: Mapping[str, str] | None) -> None:
        """Show an image's annotations as they are since the commit. None: as they were."""
        if after is None:
            return
        images = {**self.annotations_of(intent.controller), intent.image_uuid: after}
        if not after:
            del images[intent.image_uuid]
        self._annotations = {**self._annotations, intent.controller: images}

    def _say(self, request_id: str, *records: Record) -> None:
        """Tell the log of records written: where it is kept elsewhere, it anchors the chain."""
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


async def _annotate(
    connection: AsyncConnection, intent: Intent, annotating: Annotating | None
) -> Mapping[str, str] | None:
    """Change the annotations of the image; as they are then. None: nothing to change."""
    if annotating is None:
        return None
    return await audit_queries.apply(connection, intent.controller, intent.image_uuid, annotating)


def _missing(each: _Conclusion, begun: object, ended: object, head: Head, *, again: bool) -> tuple[Record, ...]:
    """
    Which records of a conclusion the database lacks.

    The intent is written anew where the database has it not, or has another ending for it: that of a monitor which
    took us for dead. ``begun``, ``ended``: the texts that it has. ``again``: it may have all, as the first try may have
    been committed.
    """
    ending = draft(each.ending, each.intent, ends=each.number, at=each.at)
    if begun == write(each.intent):
        if ended is None:
            return (ending,)
        if again and ended == ending.text:
            return ()
    return draft_pair(each.intent, each.ending, number=head[0] + 1, at=each.at)


def _request_id(intent: Record) -> str:
    """The id of the request that an intent came with, as far as it can be read."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(intent.text, type=Intent).request_id
    return ""
