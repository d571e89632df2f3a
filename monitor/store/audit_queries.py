"""
What the ledger asks of the database, statement by statement, on its caller's transaction.

A transaction that writes begins with `lock`: whoever holds the head of the chain is alone, on either database, and so
reads what nobody changes under it. What has to be read before anything can be written is read as far as it can be: a
record that was altered is for whoever looks at the audit, and must not keep it from going on.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, false, func, insert, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.errors import StoreError
from monitor.patching.annotations import Annotating
from monitor.patching.audit import Entry, Intent, Outcome, Record, Search, seal, write
from monitor.store.tables import annotations, audit, audit_head, is_storable

_BATCH = 200  # keys a statement; SQLite takes no more than 999 variables in its oldest builds
_BREATH = 20  # entries decoded without one; each can have 60 KB, which take 0.2 ms
_STRIDE = 500  # records read at once: half a MiB, and a few ms of hashing
_FIRST = -(2**63)  # whoever tampers may have written any number
_LAST = 2**63 - 1

Head = tuple[int, bytes]
"""Number and hash of the last record."""

_intents, _endings = audit.alias("intents"), audit.alias("endings")


def draft(content: Intent | Outcome, of: Intent | Record, *, ends: int | None = None, at: float) -> Record:
    """A record that has no number yet. ``ends``: the number of the intent that it ends."""
    return Record(
        number=0,
        intent=ends,
        at=float(at),  # the hash is taken over its digits, and the database gives a float back
        controller=of.controller,
        image_uuid=of.image_uuid,
        actor=of.actor,
        text=write(content),
    )


def draft_pair(intent: Intent, ending: Outcome, *, number: int, at: float) -> tuple[Record, Record]:
    """An intent and its ending. ``number``: which the intent will have."""
    return draft(intent, intent, at=at), draft(ending, intent, ends=number, at=at)


async def lock(connection: AsyncConnection) -> Head:
    """
    Take the chain for this transaction, as its first statement; `append` completes the change.

    A real change, because SQLite writes nothing for one that is none; so even an empty `append` shows that it can.
    Raises: StoreError when there is no head that a chain could go on from.
    """
    await connection.execute(update(audit_head).values(number=audit_head.c.number + 1))
    row = (await connection.execute(select(audit_head.c.number, audit_head.c.hash))).one_or_none()
    if row is None or not isinstance(row.number, int) or not isinstance(row.hash, bytes):
        raise StoreError("the head of the audit is gone or was altered, so that nothing can be added to it")
    return row.number - 1, row.hash


async def append(connection: AsyncConnection, head: Head, *drafts: Record) -> tuple[Record, ...]:
    """Add records, if any, to the chain that `lock` gave the head of; as they are kept."""
    number, before = head
    sealed: list[Record] = []
    for each in drafts:
        number += 1
        sealed.append(seal(msgspec.structs.replace(each, number=number), before))
        before = sealed[-1].hash
    if sealed:
        await connection.execute(insert(audit), [msgspec.structs.asdict(record) for record in sealed])
    await connection.execute(update(audit_head).values(number=number, hash=before))
    return tuple(sealed)


async def find_pair(connection: AsyncConnection, number: int) -> tuple[object, object]:
    """The text of the record of this number, and of that which ends it; None where there is none."""
    query = select(audit.c.number, audit.c.text).where((audit.c.number == number) | (audit.c.intent == number))
    found = (await connection.execute(query)).all()
    begun = next((row.text for row in found if row.number == number), None)
    return begun, next((row.text for row in found if row.number != number), None)


async def find_open(connection: AsyncConnection) -> tuple[Record, ...]:
    """The intents that have no ending, as far as they can be read; without their hashes."""
    query = (
        select(_intents)
        .outerjoin(_endings, _endings.c.intent == _intents.c.number)
        .where(_intents.c.intent.is_(None), _endings.c.number.is_(None))
        .order_by(_intents.c.number)
    )
    return tuple(_legible(row) for row in await connection.execute(query))


def _legible(row: Row[tuple[object, ...]]) -> Record:
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
    """SQLite keeps values of any type, if somebody puts them there."""
    return value if isinstance(value, str) else ""


async def apply(connection: AsyncConnection, controller: str, image_uuid: str, change: Annotating) -> Mapping[str, str]:
    """Change the annotations of an image; as they are then."""
    here = (annotations.c.controller == controller) & (annotations.c.image_uuid == image_uuid)
    for keys in _batches(change):
        await connection.execute(
            delete(annotations).where(here if keys is None else here & annotations.c.key.in_(keys))
        )
    rows = [
        {"controller": controller, "image_uuid": image_uuid, "key": key, "value": value}
        for key, value in change.values.items()
        if value is not None
    ]
    if rows:
        await connection.execute(insert(annotations), rows)
    found = await connection.execute(select(annotations.c.key, annotations.c.value).where(here))
    return {row.key: row.value for row in found}


def _batches(change: Annotating) -> Iterator[Collection[str] | None]:
    """The keys whose rows have to go; None: all of them."""
    if change.replace:
        yield None
        return
    keys = list(change.values)
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]


async def read_annotations(connection: AsyncConnection) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """All there are, by controller, image and key."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in await connection.execute(select(annotations)):
        found.setdefault(row.controller, {}).setdefault(row.image_uuid, {})[row.key] = row.value
    return found


async def search(connection: AsyncConnection, wanted: Search) -> tuple[Entry, ...]:
    """The newest intents that match, newest first, with their endings."""
    query = (
        select(_intents, _endings.c.at.label("ended_at"), _endings.c.text.label("ending"))
        .outerjoin(_endings, _endings.c.intent == _intents.c.number)
        .where((_intents.c.intent + 0).is_(None), *_conditions(wanted))  # + 0: SQLite would sort all that are null
        .order_by(_intents.c.number.desc())
        .limit(wanted.get("most", 50))
    )
    entries: list[Entry] = []
    for row in await connection.execute(query):
        if len(entries) % _BREATH == 0:
            await asyncio.sleep(0)
        entries.append(_entry(row))
    return tuple(entries)


def _conditions(wanted: Search) -> Iterator[ColumnElement[bool]]:
    columns = _intents.c
    for column, text in (
        (columns.image_uuid, wanted.get("image_uuid")),
        (columns.controller, wanted.get("controller")),
        (columns.actor, wanted.get("actor")),
    ):
        if text is not None:
            yield column == text if is_storable(text) else false()  # or asking would be an error
    if (controllers := wanted.get("controllers")) is not None:
        yield columns.controller.in_(controllers)
    if (since := wanted.get("since")) is not None:
        yield columns.at >= since
    if (until := wanted.get("until")) is not None:
        yield columns.at <= until
    if (before := wanted.get("before")) is not None:
        yield columns.number < max(_FIRST, min(before, _LAST))


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    try:
        return Entry(
            number=row.number,
            at=row.at,
            intent=msgspec.json.decode(row.text, type=Intent),
            ended_at=row.ended_at,
            ending=None if row.ending is None else msgspec.json.decode(row.ending, type=Outcome),
        )
    except msgspec.DecodeError as error:
        raise _unreadable(row.number) from error


def walk(connection: Connection) -> tuple[Iterator[Record], Head]:
    """
    The whole chain, a stride at a time, and its head as it was when the walk began.

    Raises: StoreError when there is no audit, and from the walk when a record is none.
    """
    if not inspect(connection).has_table(audit_head.name):
        raise StoreError("it holds no audit; no daemon of this version has used it")
    last = select(func.max(audit.c.number)).scalar_subquery()
    row = connection.execute(select(audit_head.c.number, audit_head.c.hash, last.label("last"))).one()  # one snapshot
    return _stride(connection, row.last), (row.number, row.hash)


def _stride(connection: Connection, last: int | None) -> Iterator[Record]:
    first = _FIRST
    while last is not None:
        query = select(audit).where(audit.c.number >= first, audit.c.number <= last).order_by(audit.c.number)
        rows = connection.execute(query.limit(_STRIDE)).all()
        yield from map(_record, rows)
        if len(rows) < _STRIDE:
            return
        first = rows[-1].number + 1


def _record(row: Row[tuple[object, ...]]) -> Record:
    try:
        return msgspec.convert(row, Record, from_attributes=True)
    except msgspec.ValidationError as error:
        raise _unreadable(row.number) from error


def _unreadable(number: object) -> StoreError:
    return StoreError(f"record {number} of the audit was altered, so that it cannot be read")
