"""The hash chain of the audit: whole as written, and every alteration is found."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.patching.audit import (
    GENESIS,
    AnnotationReplay,
    Intent,
    Outcome,
    Record,
    encode,
    faults,
    seal,
    shorten,
)
from tests.support.strategies import BOUNDED, texts

INTENT = Intent(
    request_id="r-1", actor="alice", source="192.0.2.7", controller="dc1", image_uuid="image-1", asked={"name": "new"}
)
DONE = Outcome(kind="done", changes={"name": ("old", "new")}, answer=200)

Chain = tuple[Record, ...]


def chained(records: Iterable[Record]) -> Chain:
    """Records numbered and sealed, one after the other."""
    before, sealed = GENESIS, list[Record]()
    for number, record in enumerate(records, 1):
        sealed.append(seal(replace(record, number=number), before))
        before = sealed[-1].hash
    return tuple(sealed)


def record(intent: int | None = None, *, text: str = "", at: float = 100.5, actor: str = "alice") -> Record:
    text = text or encode(INTENT if intent is None else DONE)
    return Record(number=0, intent=intent, at=at, controller="dc1", image_uuid="image-1", actor=actor, text=text)


def head(chain: Chain) -> tuple[int, bytes]:
    return (chain[-1].number, chain[-1].hash) if chain else (0, GENESIS)


CHAIN = chained([record(), record(), record(1), record(2), record(), record(5)])


def test_a_written_chain_is_whole() -> None:
    assert not list(faults(CHAIN, head(CHAIN)))


def test_an_audit_without_records_is_whole() -> None:
    assert not list(faults((), (0, GENESIS)))


def test_an_open_intent_is_no_fault() -> None:
    chain = chained([record(), record(), record(2)])
    assert not list(faults(chain, head(chain)))


def test_the_same_content_has_the_same_text_and_is_decoded_from_it() -> None:
    other = msgspec.structs.replace(INTENT, asked=dict(reversed({"b": 1, "name": "new"}.items())))
    same = msgspec.structs.replace(INTENT, asked={"b": 1, "name": "new"})
    assert encode(other) == encode(same)
    assert msgspec.json.decode(encode(INTENT), type=Intent) == INTENT
    assert msgspec.json.decode(encode(DONE), type=Outcome) == DONE


def test_text_and_hash_of_a_record_stay_as_they_are_so_that_databases_of_earlier_versions_verify() -> None:
    intent, outcome = chained([record(), record(1, at=101.25)])
    assert intent.text == (
        '{"request_id":"r-1","actor":"alice","source":"192.0.2.7","controller":"dc1","image_uuid":"image-1",'
        '"asked":{"name":"new"}}'
    )
    assert outcome.text == '{"outcome":"done","changes":{"name":["old","new"]},"answer":200,"detail":""}'
    assert intent.hash.hex() == "61e0368a467ec707bff9f29a36755f4b5ced7089ddcb80221d903d64bd07230a"
    assert outcome.hash.hex() == "bbd89ae1ff3568a78f3ef847d7b4c5b3f281e47a32734b93552098631912e356"


def altered(**fields: object) -> Callable[[Chain], Chain]:
    def alter(chain: Chain) -> Chain:
        return (*chain[:2], replace(chain[2], **fields), *chain[3:])

    return alter


def swapped(chain: Chain) -> Chain:
    first, second = replace(chain[1], number=1), replace(chain[0], number=2)
    return (first, second, *chain[2:])


ALTERED = ["record 3 was altered, or the one before it"]


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        pytest.param(altered(text="{}"), ALTERED, id="text"),
        pytest.param(altered(actor="bob"), ALTERED, id="actor"),
        pytest.param(altered(at=100.25), ALTERED, id="at"),
        pytest.param(altered(controller="dc2"), ALTERED, id="controller"),
        pytest.param(altered(image_uuid="image-2"), ALTERED, id="image"),
        pytest.param(altered(hash=bytes(32)), [*ALTERED, "record 4 was altered, or the one before it"], id="hash"),
        pytest.param(
            altered(intent=4),
            [*ALTERED, "record 3 is an outcome of the intent 4, which is missing or has an outcome already"],
            id="intent",
        ),
        pytest.param(
            lambda chain: chain[1:],
            [
                "record 1 is missing",
                "record 3 is an outcome of the intent 1, which is missing or has an outcome already",
            ],
            id="first-removed",
        ),
        pytest.param(lambda chain: (*chain[:3], *chain[4:]), ["record 4 is missing"], id="one-removed"),
        pytest.param(
            lambda chain: chain[:-1],
            ["the chain ends with record 5, but record 6 was written, or the head was altered"],
            id="last-removed",
        ),
        pytest.param(
            lambda _: (),
            ["the chain ends with record 0, but record 6 was written, or the head was altered"],
            id="all-removed",
        ),
        pytest.param(
            swapped,
            [f"record {number} was altered, or the one before it" for number in (1, 2, 3)],
            id="swapped",
        ),
    ],
)
def test_tampering_with_a_chain_is_found(tamper: Callable[[Chain], Chain], found: list[str]) -> None:
    assert list(faults(tamper(CHAIN), head(CHAIN))) == found


@pytest.mark.parametrize("false_head", [(5, CHAIN[-1].hash), (6, CHAIN[-2].hash), (7, CHAIN[-1].hash), (0, GENESIS)])
def test_an_altered_head_is_found(false_head: tuple[int, bytes]) -> None:
    number = false_head[0]
    text = f"the chain ends with record 6, but record {number} was written, or the head was altered"
    assert list(faults(CHAIN, false_head)) == [text]


def test_a_second_outcome_is_found() -> None:
    chain = chained([record(), record(1), record(1)])
    assert list(faults(chain, head(chain))) == [
        "record 3 is an outcome of the intent 1, which is missing or has an outcome already"
    ]


drafts = st.lists(st.builds(record, text=texts, at=st.floats(0, 4e9), actor=texts), min_size=1, max_size=8)


@given(drafts)
@BOUNDED
def test_any_written_chain_is_whole(records: list[Record]) -> None:
    chain = chained(records)
    assert not list(faults(chain, head(chain)))


@given(drafts, st.data())
@BOUNDED
def test_any_altered_record_is_found(records: list[Record], data: st.DataObject) -> None:
    chain = chained(records)
    place = data.draw(st.integers(0, len(chain) - 1))
    field = data.draw(st.sampled_from(["at", "controller", "image_uuid", "actor", "text"]))
    value = data.draw(st.floats(0, 4e9) if field == "at" else texts)
    other = replace(chain[place], **{field: value})
    is_other = other != chain[place]
    tampered = (*chain[:place], other, *chain[place + 1 :])
    assert bool(list(faults(tampered, head(chain)))) == is_other


@given(drafts, st.integers(0, 2**32))
@BOUNDED
def test_any_missing_records_are_found(records: list[Record], seed: int) -> None:
    chain = chained(records)
    rng = Random(seed)
    left = tuple(rng.sample(chain, rng.randrange(len(chain))))
    assert list(faults(sorted(left, key=lambda record: record.number), head(chain)))


def test_a_chain_that_was_cut_off_or_rewritten_is_found_by_its_anchors() -> None:
    """A process that can write the database can write a whole chain with a head that fits."""
    known = {CHAIN[0].number: CHAIN[0].hash, CHAIN[-1].number: CHAIN[-1].hash}
    assert not list(faults(CHAIN, head(CHAIN), known))
    cut = CHAIN[:-1]
    assert list(faults(cut, head(cut), known)) == [f"record {len(CHAIN)} has an anchor and is missing"]
    anew = chained([replace(CHAIN[0], actor="mallory"), *CHAIN[1:]])
    assert list(faults(anew, head(anew), known)) == [f"record {number} does not match its anchor" for number in known]


@pytest.mark.parametrize("value", [None, True, 1.5, "", "x" * 128, {"a": ["b"]}, ["x" * 100]], ids=repr)
def test_a_small_value_is_recorded_whole(value: object) -> None:
    assert shorten(value) is value


def test_a_large_text_is_recorded_as_its_beginning_and_its_digest() -> None:
    assert shorten("x" * 129) == (f"{'x' * 64}… (129 characters, SHA-256 {hashlib.sha256(b'x' * 129).hexdigest()})")


def test_a_large_object_is_recorded_as_the_beginning_and_the_digest_of_its_json() -> None:
    value = {"b": "x" * 1_000_000, "a": "ü"}
    assert shorten(value) == shorten(dict(reversed(value.items())))
    assert str(shorten(value)).startswith('{"a":"ü","b":"xxx')
    assert len(str(shorten(value))) < 200


@BOUNDED
@given(short=st.text(max_size=200), long=st.text(min_size=129, max_size=200))
def test_a_shortened_value_is_never_confused_with_another(short: str, long: str) -> None:
    assert (shorten(short) == shorten(long)) == (short == long)
    assert shorten(str(shorten(long))) != shorten(long), "what looks like a shortened value is shortened itself"


def test_a_record_with_a_number_below_1_is_a_fault() -> None:
    first = seal(replace(record(), number=0), GENESIS)
    assert list(faults([first], (0, first.hash))) == ["record 0 has an impossible number"]


# The annotations


def annotated(outcome: Outcome = DONE, **asked: object) -> tuple[str, str]:
    """The texts of an intent and of its outcome."""
    return encode(replace(INTENT, asked=asked)), encode(outcome)


def annotation_faults(*changes: tuple[str, str], stored: Mapping[str, object]) -> list[str]:
    replay, records = AnnotationReplay(), list[Record]()
    for intent, outcome in changes:
        number = len(records) + 1
        records += [
            replace(record(text=intent), number=number),
            replace(record(number, text=outcome), number=number + 1),
        ]
    assert list(replay.follow(records)) == records
    return list(replay.faults(("dc1", "image-1", key, value) for key, value in stored.items()))


TICKET = annotated(annotations={"ticket": "CHG-1"})


def test_annotations_as_the_chain_says_are_no_fault() -> None:
    gone = annotated(annotations={"owner": None}, replace_annotations=False)
    assert not annotation_faults(TICKET, annotated(annotations={"owner": "bob"}), gone, stored={"ticket": "CHG-1"})


def test_replacing_removes_the_other_annotations() -> None:
    changes = TICKET, annotated(annotations={"owner": "bob"}, replace_annotations=True)
    assert not annotation_faults(*changes, stored={"owner": "bob"})
    assert annotation_faults(*changes, stored={"ticket": "CHG-1", "owner": "bob"}) == [
        "the annotation ticket of image-1 on dc1 was added: record 4 removed it"
    ]


def test_annotations_of_another_operation_are_others() -> None:
    """An image, a unit with which nothing was ever done, and two operations of it."""
    intents = [INTENT, *(replace(INTENT, operation_key=key) for key in ("", "1.000", "2.000"))]
    assert [intent.work_id for intent in intents] == ["image-1", "image-1@", "image-1@1.000", "image-1@2.000"]
    changes = [(encode(replace(intent, asked={"annotations": {"a": "b"}})), encode(DONE)) for intent in intents]
    assert annotation_faults(*changes, stored={"a": "b"}) == [
        f"the annotation a of {intent.work_id} on dc1 was removed: record {number} set it"
        for number, intent in zip((4, 6, 8), intents[1:], strict=True)
    ]


def test_the_intent_of_an_image_is_recorded_as_before_there_were_operations() -> None:
    assert b"operation_key" not in encode(INTENT).encode()
    assert msgspec.json.decode(encode(replace(INTENT, operation_key="")), type=Intent).operation_key == ""


def test_annotations_that_were_altered_added_or_removed_are_faults() -> None:
    assert annotation_faults(TICKET, stored={"ticket": "CHG-2", "owner": "eve"}) == [
        "the annotation ticket of image-1 on dc1 was altered: record 2 has another value",
        "the annotation owner of image-1 on dc1 was added: no record has it",
    ]
    assert annotation_faults(TICKET, stored={}) == [
        "the annotation ticket of image-1 on dc1 was removed: record 2 set it"
    ]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(annotated(Outcome(kind="refused"), annotations={"ticket": "CHG-1"}), id="refused"),
        pytest.param(annotated(operation="replace"), id="none-asked"),
        pytest.param(annotated(annotations=["ticket"]), id="unreadable-change"),
        pytest.param(("gone", encode(DONE)), id="unreadable-intent"),
        pytest.param((TICKET[0], "gone"), id="unreadable-outcome"),
    ],
)
def test_a_record_that_changed_no_annotation_expects_none(change: tuple[str, str]) -> None:
    assert not annotation_faults(change, stored={})


LARGE = "x" * 1000


def test_a_large_annotation_is_compared_by_its_digest() -> None:
    change = annotated(annotations={"note": shorten(LARGE)})
    assert not annotation_faults(change, stored={"note": LARGE})
    for altered in (LARGE + "x", shorten(LARGE)):
        assert annotation_faults(change, stored={"note": altered}) == [
            "the annotation note of image-1 on dc1 was altered: record 2 has another value"
        ]


def test_a_large_annotation_that_an_earlier_version_recorded_whole_is_no_fault() -> None:
    assert not annotation_faults(annotated(annotations={"note": LARGE}), stored={"note": LARGE})
