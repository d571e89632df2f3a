"""
The SQL statements of the audit log, each on its caller's transaction.

A transaction that writes begins with `lock`, which makes it the only writer on either database, so that what it reads
does not change before it commits. Rows that must be read before a write are read leniently: a record that was altered
is shown by ``audit verify``, and must not stop the audit.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, false, func, insert, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.errors import AlteredRecord, StoreError
from monitor.patching.annotations import AnnotationChange
from monitor.patching.audit import PAGE_SIZE, Entry, Intent, Outcome, Record, Search, encode, seal
from monitor.store.tables import annotations, audit, audit_head, is_storable

_BATCH = 200  # keys a statement; the oldest builds of SQLite take 999 variables
_YIELD_AFTER = 20  # entries decoded before the event loop has a turn; one can have 60 KB, which take 0.2 ms
_CHUNK = 500  # records read at once: half a MiB, and a few ms of hashing
_FIRST, _LAST = -(2**63), 2**63 - 1  # a tampered record may have any number

T = TypeVar("T", Intent, Outcome)

Head = tuple[int, bytes]
"""Number and hash of the last record."""
StoredAnnotation = tuple[str, str, str, object]
"""Controller, `Intent.work_id`, key and value; the value is a text unless it was altered by hand."""

_SNAPSHOTS = {"sqlite": "BEGIN", "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"}

_intents, _outcomes = audit.alias("intents"), audit.alias("outcomes")


def draft(content: Intent | Outcome, of: Intent | Record, *, ends: int | None = None, at: float) -> Record:
    """Return a record without a number. ``ends``: of an outcome, the number of its intent."""
    return Record(
        number=0,
        intent=ends,
        at=float(at),  # the hash is taken over its digits, and the database returns a float
        controller=of.controller,
        image_uuid=of.image_uuid,
        actor=of.actor,
        text=encode(content),
    )


def draft_pair(intent: Intent, outcome: Outcome, *, number: int, at: float) -> tuple[Record, Record]:
    """Return the records of an intent and its outcome. ``number``: the one that the intent will have."""
    return draft(intent, intent, at=at), draft(outcome, intent, ends=number, at=at)


async def lock(connection: AsyncConnection) -> Head:
    """
    Lock the chain for this transaction, as its first statement; `append` completes the change.

    The row really changes, because SQLite skips a write that changes nothing: so even an empty `append` shows that
    writing works.
    Raises: StoreError when the head row is missing or unusable.
    """
    await connection.execute(update(audit_head).values(number=audit_head.c.number + 1))
    number, last_hash = await read_head(connection)
    return number - 1, last_hash


async def read_head(connection: AsyncConnection) -> Head:
    """Return number and hash of the last record. Raises: StoreError when the head row is missing or unusable."""
    row = (await connection.execute(select(audit_head.c.number, audit_head.c.hash))).one_or_none()
    if row is None or not isinstance(row.number, int) or not isinstance(row.hash, bytes):
        raise StoreError("the head of the audit is missing or was altered, so no record can be added")
    return row.number, row.hash


async def append(connection: AsyncConnection, head: Head, *drafts: Record) -> tuple[Record, ...]:
    """Add records, if any, behind the head that `lock` returned. Returns: the records as stored."""
    number, before = head
    sealed: list[Record] = []
    for record in drafts:
        number += 1
        sealed.append(seal(msgspec.structs.replace(record, number=number), before))
        before = sealed[-1].hash
    if sealed:
        await connection.execute(insert(audit), [msgspec.structs.asdict(record) for record in sealed])
    await connection.execute(update(audit_head).values(number=number, hash=before))
    return tuple(sealed)


async def find_pair(connection: AsyncConnection, number: int) -> tuple[object, object]:
    """Return the text of the intent of this number and the text of its outcome; None where there is none."""
    query = select(audit.c.number, audit.c.text).where((audit.c.number == number) | (audit.c.intent == number))
    found = (await connection.execute(query)).all()
    intent = next((row.text for row in found if row.number == number), None)
    return intent, next((row.text for row in found if row.number != number), None)


async def find_open(connection: AsyncConnection) -> tuple[Record, ...]:
    """Return the intents that have no outcome, read leniently and without their hashes."""
    query = (
        select(_intents)
        .outerjoin(_outcomes, _outcomes.c.intent == _intents.c.number)
        .where(_intents.c.intent.is_(None), _outcomes.c.number.is_(None))
        .order_by(_intents.c.number)
    )
    return tuple(_lenient_record(row) for row in await connection.execute(query))


def _lenient_record(row: Row[tuple[object, ...]]) -> Record:
    return Record(
        number=row.number,
        intent=None,
        at=0.0,
        controller=_text(row.controller),
        image_uuid=_text(row.image_uuid),
        actor=_text(row.actor),
        text=_text(row.text),
    )


def _text(value: object) -> str:
    """SQLite stores a value of any type in a column, if it was altered by hand."""
    return value if isinstance(value, str) else ""


async def change_annotations(
    connection: AsyncConnection, controller: str, work: str, change: AnnotationChange
) -> Mapping[str, str]:
    """Change the annotations of one `Intent.work_id`. Returns: its annotations after the change."""
    of_work = (annotations.c.controller == controller) & (annotations.c.image_uuid == work)
    for keys in _keys_to_delete(change):
        await connection.execute(
            delete(annotations).where(of_work if keys is None else of_work & annotations.c.key.in_(keys))
        )
    rows = [
        {"controller": controller, "image_uuid": work, "key": key, "value": value}
        for key, value in change.values.items()
        if value is not None
    ]
    if rows:
        await connection.execute(insert(annotations), rows)
    found = await connection.execute(select(annotations.c.key, annotations.c.value).where(of_work))
    return {row.key: row.value for row in found}


def _keys_to_delete(change: AnnotationChange) -> Iterator[Collection[str] | None]:
    """Yield batches of keys whose rows are deleted; None: all rows of the object."""
    if change.replace:
        yield None
        return
    keys = list(change.values)
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]


async def read_annotations(connection: AsyncConnection) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return all annotations by controller, `Intent.work_id` and key."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in await connection.execute(select(annotations)):
        found.setdefault(row.controller, {}).setdefault(row.image_uuid, {})[row.key] = row.value
    return found


async def search(connection: AsyncConnection, criteria: Search) -> tuple[Entry, ...]:
    """Return the newest intents that match, newest first, with their outcomes. Raises: AlteredRecord."""
    query = (
        select(
            _intents,
            _outcomes.c.number.label("outcome_number"),
            _outcomes.c.at.label("ended_at"),
            _outcomes.c.text.label("outcome"),
        )
        .outerjoin(_outcomes, _outcomes.c.intent == _intents.c.number)
        .where(
            (_intents.c.intent + 0).is_(None), *_conditions(criteria)
        )  # + 0: else SQLite uses the index of `intent`, and sorts all nulls
        .order_by(_intents.c.number.desc())
        .limit(criteria.get("limit", PAGE_SIZE))
    )
    entries: list[Entry] = []
    for row in await connection.execute(query):
        if len(entries) % _YIELD_AFTER == 0:
            await asyncio.sleep(0)
        entries.append(_entry(row))
    return tuple(entries)


def _conditions(criteria: Search) -> Iterator[ColumnElement[bool]]:
    columns = _intents.c
    for column, text in (
        (columns.image_uuid, criteria.get("image_uuid")),
        (columns.controller, criteria.get("controller")),
        (columns.actor, criteria.get("actor")),
    ):
        if text is not None:
            yield column == text if is_storable(text) else false()  # else the query would fail
    if (controllers := criteria.get("controllers")) is not None:
        yield columns.controller.in_(controllers)
    if (since := criteria.get("since")) is not None:
        yield columns.at >= since
    if (until := criteria.get("until")) is not None:
        yield columns.at <= until
    if (before := criteria.get("before")) is not None:
        yield columns.number < max(_FIRST, min(before, _LAST))


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        number=row.number,
        at=row.at,
        intent=_decode(row.text, Intent, row.number),
        ended_at=row.ended_at,
        outcome=None if row.outcome is None else _decode(row.outcome, Outcome, row.outcome_number),
    )


def _decode(text: str, content: type[T], number: int) -> T:
    try:
        return msgspec.json.decode(text, type=content)
    except msgspec.DecodeError as error:
        raise _altered(number) from error


def read_chain(connection: Connection) -> tuple[Iterator[Record], Head, Iterator[StoredAnnotation]]:
    """
    Return the whole chain, read a chunk at a time, its head, and all annotations, as all was at the start.

    Raises: StoreError when there is no audit; AlteredRecord from the iterator when a record cannot be read.
    """
    connection.exec_driver_sql(_SNAPSHOTS[connection.dialect.name])
    if not inspect(connection).has_table(audit_head.name):
        raise StoreError("it contains no audit; no daemon of this version has used it")
    last = select(func.max(audit.c.number)).scalar_subquery()
    row = connection.execute(select(audit_head.c.number, audit_head.c.hash, last.label("last"))).one()
    return _read_chunks(connection, row.last), (row.number, row.hash), _read_annotation_rows(connection)


def _read_annotation_rows(connection: Connection) -> Iterator[StoredAnnotation]:
    columns = annotations.c
    query = select(columns.controller, columns.image_uuid, columns.key, columns.value)
    for row in connection.execute(query.order_by(columns.controller, columns.image_uuid, columns.key)):
        yield row.controller, row.image_uuid, row.key, row.value


def _read_chunks(connection: Connection, last: int | None) -> Iterator[Record]:
    first = _FIRST
    while last is not None:
        query = select(audit).where(audit.c.number >= first, audit.c.number <= last).order_by(audit.c.number)
        rows = connection.execute(query.limit(_CHUNK)).all()
        yield from map(_record, rows)
        if len(rows) < _CHUNK:
            return
        first = rows[-1].number + 1


def _record(row: Row[tuple[object, ...]]) -> Record:
    try:
        return msgspec.convert(row, Record, from_attributes=True)
    except msgspec.ValidationError as error:
        raise _altered(row.number) from error


def _altered(number: object) -> AlteredRecord:
    return AlteredRecord(f"record {number} of the audit was altered and cannot be read")
