"""
Who changed what, when and how it ended: the records of the audit, and the chain that shows a missing one. Pure.

Records are only ever added. An *intent* is written before anything is done, exactly one *outcome* after it. Each record
carries the SHA-256 over its own text and the hash of the one before, so whoever alters or removes one must rewrite all
that follow.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypedDict

import msgspec
from msgspec import Struct

from monitor.model.outcome import OutcomeKind

GENESIS: Final = bytes(32)
"""What the first record has for the hash before it."""


class Intent(Struct, frozen=True, kw_only=True):
    """
    What somebody is about to do.

    ``actor``: the name of the credential. ``source``: the address it came from. ``asked``: the change, as JSON:
    ``annotations``, ``operation`` and ``fields``, ``force``.
    """

    request_id: str
    actor: str
    source: str
    controller: str
    image_uuid: str
    asked: Mapping[str, Any]


class Outcome(Struct, frozen=True, kw_only=True):
    """
    How it ended.

    ``changes``: ``[before, after]`` by field and by ``annotations.key``; None: not there. ``answer``: the Controller's
    status, where it gave one. ``detail``: in words, of what did not go well.
    """

    outcome: OutcomeKind
    changes: Mapping[str, tuple[Any, Any]] = {}
    answer: int | None = None
    detail: str = ""


class Record(Struct, frozen=True, kw_only=True):
    """
    One record as it is kept.

    ``intent``: of an ending, the number of the intent that it ends; None for an intent. ``at``: Unix seconds.
    ``text``: the Intent or the Outcome as JSON. ``hash``: of this record and the one before it.
    """

    number: int
    intent: int | None
    at: float
    controller: str
    image_uuid: str
    actor: str
    text: str
    hash: bytes = b""


class Entry(Struct, frozen=True, kw_only=True):
    """An intent and what became of it, as shown; ``ending``: None while it is under way. Times in Unix seconds."""

    number: int
    at: float
    intent: Intent
    ended_at: float | None = None
    ending: Outcome | None = None


class Search(TypedDict, total=False):
    """Which intents. ``before``: older than this number. ``since``, ``until``: Unix seconds, both included."""

    image_uuid: str | None
    controller: str | None
    controllers: frozenset[str] | None
    actor: str | None
    since: float | None
    until: float | None
    before: int | None
    most: int


def write(content: Intent | Outcome) -> str:
    """The text of a record, the same for the same content."""
    return msgspec.json.encode(content, order="deterministic").decode()


_NO_ANCHORS: Mapping[int, bytes] = {}


def seal(record: Record, before: bytes) -> Record:
    """The record with its hash. ``before``: the hash of the record before it."""
    return msgspec.structs.replace(record, hash=_hash(record, before))


def _hash(record: Record, before: bytes) -> bytes:
    fields = (
        record.number, record.intent, record.at, record.controller, record.image_uuid, record.actor, record.text,
    )  # fmt: skip
    return hashlib.sha256(before + msgspec.json.encode(fields)).digest()


def faults(
    records: Iterable[Record], head: tuple[int, bytes], anchors: Mapping[int, bytes] = _NO_ANCHORS
) -> Iterator[str]:
    """
    Everything that is wrong with the whole chain, in words; nothing when it is whole.

    ``head``: number and hash of the last record, as kept beside them; (0, GENESIS) before the first. ``anchors``: the
    hashes of some records by number, as they are known from elsewhere: only these show that the chain is not another.
    """
    number, before, left = 0, GENESIS, dict(anchors)
    open_intents: set[int] = set()
    for record in records:
        if record.number != number + 1:
            yield f"records {number + 1} to {record.number - 1} are missing"
        elif record.hash != _hash(record, before):
            yield f"record {record.number} was altered, or the one before it"
        if left.pop(record.number, record.hash) != record.hash:
            yield f"record {record.number} is another than the one that is known from elsewhere"
        yield from _pairing(record, open_intents)
        number, before = record.number, record.hash
    yield from (f"record {each} is missing, which is known from elsewhere" for each in sorted(left))
    if (number, before) != head:
        yield f"the chain ends with record {number}, but record {head[0]} was written, or the head was altered"


def _pairing(record: Record, open_intents: set[int]) -> Iterator[str]:
    if record.intent is None:
        open_intents.add(record.number)
    elif record.intent in open_intents:
        open_intents.remove(record.intent)
    else:
        yield f"record {record.number} ends the intent {record.intent}, which is not there or has ended before"
