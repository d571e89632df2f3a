"""
The records of the audit (who changed what, when, with what outcome), and the hash chain that shows tampering. Pure.

Records are only ever added: an *intent* before anything is done, and exactly one *outcome* after it. Each record has
the SHA-256 over its own fields and the hash of the record before, so to alter or remove one, all that follow must be
rewritten.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypedDict

import msgspec
from msgspec import Struct

from monitor.model.outcome import OutcomeKind
from monitor.model.tracked import work_id

GENESIS: Final = bytes(32)
"""The hash before the first record."""


class Intent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A change that is about to be made. Stored as JSON, so the names of the fields are a format.

    ``actor``: the name of the credential. ``source``: the address of the client. ``image_uuid``: of the image or unit.
    ``asked``: the change, as JSON: ``annotations``, ``operation`` and ``fields``, ``force``; large values are
    shortened. ``operation_key``: of a unit, which of its operations is annotated, see `OperationMark`; None: an image.
    """

    request_id: str
    actor: str
    source: str
    controller: str
    image_uuid: str
    asked: Mapping[str, Any]
    operation_key: str | None = None

    @property
    def work_id(self) -> str:
        """What the annotations belong to: an image, or an operation of a unit."""
        return work_id(self.image_uuid, self.operation_key)


class Outcome(Struct, frozen=True, kw_only=True):
    """
    How an intent ended. Stored as JSON, where ``kind`` is called ``outcome``; the names of the fields are a format.

    ``changes``: ``[before, after]`` by field and by ``annotations.key``, shortened; None: absent. ``answer``: the
    status of the Controller's reply, if it replied. ``detail``: what went wrong, in words.
    """

    kind: OutcomeKind = msgspec.field(name="outcome")
    changes: Mapping[str, tuple[Any, Any]] = {}
    answer: int | None = None
    detail: str = ""


_MAX_VALUE: Final = 128  # characters of a value that is recorded whole; less than those of one that is cut
_PREFIX: Final = 64


def shorten(value: object) -> object:
    """
    Return a value as the audit records it: a large one is cut to its beginning, its length and its SHA-256.

    ``value``: JSON. The result of a large value is larger than any that is recorded whole, so the two are never
    confused: a value is the recorded one when ``shorten`` gives the same.
    """
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()
    if len(text) <= _MAX_VALUE:
        return value
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:_PREFIX]}… ({len(text):,} characters, SHA-256 {digest})"


class Record(Struct, frozen=True, kw_only=True):
    """
    One record as it is stored.

    ``intent``: of an outcome, the number of its intent; None for an intent. ``at``: Unix seconds. ``text``: the Intent
    or the Outcome as JSON. ``hash``: over this record and the hash of the record before.
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
    """An intent and its outcome; ``outcome``: None while the change is in flight. Times in Unix seconds."""

    number: int
    at: float
    intent: Intent
    ended_at: float | None = None
    outcome: Outcome | None = None


PAGE_SIZE: Final = 50
"""How many intents a search returns, unless it says otherwise."""


class Search(TypedDict, total=False):
    """
    Criteria for intents. ``before``: older than this number. ``since``, ``until``: Unix seconds, both included.

    ``limit``: how many are returned at most; by default `PAGE_SIZE`.
    """

    image_uuid: str | None
    controller: str | None
    controllers: frozenset[str] | None
    actor: str | None
    since: float | None
    until: float | None
    before: int | None
    limit: int


def encode(content: Intent | Outcome) -> str:
    """Encode the text of a record; the same content always gives the same text."""
    return msgspec.json.encode(content, order="deterministic").decode()


_NO_ANCHORS: Mapping[int, bytes] = {}


def seal(record: Record, before: bytes) -> Record:
    """Return the record with its hash. ``before``: the hash of the record before."""
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
    Yield everything that is wrong with a chain, in words; nothing when it is whole.

    ``head``: number and hash of the last record, as stored beside the records; (0, GENESIS) before the first.
    ``anchors``: hashes of records by number, from logs kept elsewhere: only these show a chain that was rewritten.
    """
    number, before, left = 0, GENESIS, dict(anchors)
    open_intents: set[int] = set()
    for record in records:
        if record.number < 1:
            yield f"record {record.number} has an impossible number"
        elif record.number != number + 1:
            missing, last = number + 1, record.number - 1
            yield f"record {missing} is missing" if missing == last else f"records {missing} to {last} are missing"
        elif record.hash != _hash(record, before):
            yield f"record {record.number} was altered, or the one before it"
        if left.pop(record.number, record.hash) != record.hash:
            yield f"record {record.number} does not match its anchor"
        yield from _check_pairing(record, open_intents)
        number, before = record.number, record.hash
    yield from (f"record {missing} has an anchor and is missing" for missing in sorted(left))
    if (number, before) != head:
        yield f"the chain ends with record {number}, but record {head[0]} was written, or the head was altered"


def _check_pairing(record: Record, open_intents: set[int]) -> Iterator[str]:
    if record.intent is None:
        open_intents.add(record.number)
    elif record.intent in open_intents:
        open_intents.remove(record.intent)
    else:
        why = "which is missing or has an outcome already"
        yield f"record {record.number} is an outcome of the intent {record.intent}, {why}"


class AnnotationReplay:
    """
    What the annotations have to be: those that the changes of the chain give, one after the other.

    Records that cannot be read change nothing here; `faults` has reported them.
    """

    def __init__(self) -> None:
        self._open: dict[int, Intent] = {}
        self._expected: dict[tuple[str, str], dict[str, tuple[str | None, int]]] = {}
        """By controller and `Intent.work_id`, then by key: the value, None once it was removed; and its record."""

    def follow(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, in order; each is taken into account when the next one is asked for."""
        for record in records:
            yield record
            with suppress(msgspec.MsgspecError):
                self._add(record)

    def faults(self, stored: Iterable[tuple[str, str, str, object]]) -> Iterator[str]:
        """
        Yield every annotation that is not as the chain says, in words, without its value.

        ``stored``: controller, `Intent.work_id`, key and value of all annotations in the database.
        """
        missing = {
            (*work, key): number
            for work, keys in self._expected.items()
            for key, (value, number) in keys.items()
            if value is not None
        }
        for controller, work, key, value in stored:
            expected, number = self._expected.get((controller, work), {}).get(key, (None, 0))
            missing.pop((controller, work, key), None)
            where = f"the annotation {key} of {work} on {controller}"
            if expected is None:
                yield f"{where} was added: {f'record {number} removed it' if number else 'no record has it'}"
            elif not _is_recorded_as(value, expected):
                yield f"{where} was altered: record {number} has another value"
        for (controller, work, key), number in missing.items():
            yield f"the annotation {key} of {work} on {controller} was removed: record {number} set it"

    def _add(self, record: Record) -> None:
        if record.intent is None:
            self._open[record.number] = msgspec.json.decode(record.text, type=Intent)
            return
        intent = self._open.pop(record.intent, None)
        outcome = msgspec.json.decode(record.text, type=Outcome)
        if intent is None or outcome.kind != "done" or "annotations" not in intent.asked:
            return
        keys = self._expected.setdefault((intent.controller, intent.work_id), {})
        if intent.asked.get("replace_annotations"):
            keys.update(dict.fromkeys(keys, (None, record.number)))
        change = msgspec.convert(intent.asked["annotations"], dict[str, str | None])
        keys.update({key: (value, record.number) for key, value in change.items()})


_SHORTENED: Final = re.compile(rf".{{{_PREFIX}}}… \([\d,]+ characters, SHA-256 [0-9a-f]{{64}}\)", re.DOTALL)


def _is_recorded_as(value: object, recorded: str) -> bool:
    """Whether a value is the recorded one. Version 0.1.0 recorded large values whole."""
    return recorded == shorten(value) or (recorded == value and not _SHORTENED.fullmatch(recorded))
