"""The chain of the audit: whole as written, and showing whatever was done to it since."""

from collections.abc import Callable, Iterable
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.patching.audit import GENESIS, Intent, Outcome, Record, faults, seal, write
from tests.support.strategies import BOUNDED, texts

INTENT = Intent(
    request_id="r-1", actor="alice", source="192.0.2.7", controller="dc1", image_uuid="image-1", asked={"name": "new"}
)
DONE = Outcome(outcome="done", changes={"name": ("old", "new")}, answer=200)

Chain = tuple[Record, ...]


def chained(records: Iterable[Record]) -> Chain:
    """Records numbered and sealed, one after the other."""
    before, sealed = GENESIS, list[Record]()
    for number, record in enumerate(records, 1):
        sealed.append(seal(replace(record, number=number), before))
        before = sealed[-1].hash
    return tuple(sealed)


def record(intent: int | None = None, *, text: str = "", at: float = 100.5, actor: str = "alice") -> Record:
    text = text or write(INTENT if intent is None else DONE)
    return Record(number=0, intent=intent, at=at, controller="dc1", image_uuid="image-1", actor=actor, text=text)


def head(chain: Chain) -> tuple[int, bytes]:
    return (chain[-1].number, chain[-1].hash) if chain else (0, GENESIS)


CHAIN = chained([record(), record(), record(1), record(2), record(), record(5)])


def test_a_chain_is_whole_as_it_was_written() -> None:
    assert not list(faults(CHAIN, head(CHAIN)))


def test_an_audit_without_records_is_whole() -> None:
    assert not list(faults((), (0, GENESIS)))


def test_an_intent_may_be_under_way() -> None:
    chain = chained([record(), record(), record(2)])
    assert not list(faults(chain, head(chain)))


def test_the_text_of_a_record_is_the_same_for_the_same_content_and_gives_it_back() -> None:
    other = msgspec.structs.replace(INTENT, asked=dict(reversed({"b": 1, "name": "new"}.items())))
    same = msgspec.structs.replace(INTENT, asked={"b": 1, "name": "new"})
    assert write(other) == write(same)
    assert msgspec.json.decode(write(INTENT), type=Intent) == INTENT
    assert msgspec.json.decode(write(DONE), type=Outcome) == DONE


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
            [*ALTERED, "record 3 ends the intent 4, which is not there or has ended before"],
            id="intent",
        ),
        pytest.param(
            lambda chain: chain[1:],
            [
                "records 1 to 1 are missing",
                "record 3 ends the intent 1, which is not there or has ended before",
            ],
            id="first-removed",
        ),
        pytest.param(lambda chain: (*chain[:3], *chain[4:]), ["records 4 to 4 are missing"], id="one-removed"),
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
def test_what_was_done_to_a_chain_shows(tamper: Callable[[Chain], Chain], found: list[str]) -> None:
    assert list(faults(tamper(CHAIN), head(CHAIN))) == found


@pytest.mark.parametrize("false_head", [(5, CHAIN[-1].hash), (6, CHAIN[-2].hash), (7, CHAIN[-1].hash), (0, GENESIS)])
def test_an_altered_head_shows(false_head: tuple[int, bytes]) -> None:
    number = false_head[0]
    text = f"the chain ends with record 6, but record {number} was written, or the head was altered"
    assert list(faults(CHAIN, false_head)) == [text]


def test_a_second_ending_shows() -> None:
    chain = chained([record(), record(1), record(1)])
    assert list(faults(chain, head(chain))) == ["record 3 ends the intent 1, which is not there or has ended before"]


drafts = st.lists(st.builds(record, text=texts, at=st.floats(0, 4e9), actor=texts), min_size=1, max_size=8)


@given(drafts)
@BOUNDED
def test_any_chain_is_whole_as_it_was_written(records: list[Record]) -> None:
    chain = chained(records)
    assert not list(faults(chain, head(chain)))


@given(drafts, st.data())
@BOUNDED
def test_any_record_that_was_altered_shows(records: list[Record], data: st.DataObject) -> None:
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
def test_any_records_that_are_missing_show(records: list[Record], seed: int) -> None:
    chain = chained(records)
    rng = Random(seed)
    left = tuple(rng.sample(chain, rng.randrange(len(chain))))
    assert list(faults(sorted(left, key=lambda record: record.number), head(chain)))


def test_a_chain_that_was_cut_off_or_made_anew_is_found_by_what_is_known_from_elsewhere() -> None:
    """Whoever can write the database can write a whole chain with a head that fits."""
    known = {CHAIN[0].number: CHAIN[0].hash, CHAIN[-1].number: CHAIN[-1].hash}
    assert not list(faults(CHAIN, head(CHAIN), known))
    cut = CHAIN[:-1]
    assert list(faults(cut, head(cut), known)) == [f"record {len(CHAIN)} is missing, which is known from elsewhere"]
    anew = chained([replace(CHAIN[0], actor="nobody"), *CHAIN[1:]])
    assert list(faults(anew, head(anew), known)) == [
        f"record {number} is another than the one that is known from elsewhere" for number in known
    ]
