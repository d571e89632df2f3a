"""The audit log on real databases: durability, transactions, tampering, and log events."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from monitor.model.errors import AlteredRecord, StoreError
from monitor.patching.annotations import AnnotationChange
from monitor.patching.audit import Entry, Outcome
from monitor.store import Store
from tests.support.stores import DONE, NOW, TICKET, UNKNOWN, chain_faults, closing, intent, migrated_url, opened, run

# Intents and outcomes


async def test_an_intent_and_its_outcome_survive_a_restart(database_url: str) -> None:
    change = intent(name="new")
    outcome = Outcome(kind="done", changes={"name": ("old", None), "annotations.a": (None, "1")}, answer=200)
    async with opened(database_url) as store:
        number = await store.audit_log.begin(change, at=100.25)
        assert await store.audit_log.entries() == (Entry(number=number, at=100.25, intent=change),)
        await store.audit_log.finish(number, change, outcome, None, at=101.75)
    async with opened(database_url) as store:
        (entry,) = await store.audit_log.entries()
        assert entry == Entry(number=number, at=100.25, intent=change, ended_at=101.75, outcome=outcome)
        assert not await chain_faults(store)


async def test_the_database_itself_refuses_a_second_outcome(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        with pytest.raises(StoreError, match=r"(?i)unique"):
            await run(
                store, "INSERT INTO audit SELECT 3, intent, at, controller, image_uuid, actor, text, hash FROM audit"
            )


async def test_intents_left_open_are_closed_as_unknown_once(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        for _ in range(3):
            await store.audit_log.begin(intent("image-2"), at=2)
    for _ in range(2):
        async with opened(database_url) as store:
            entries = await store.audit_log.entries()
            assert [entry.outcome for entry in entries] == [UNKNOWN] * 3 + [DONE]
            assert [entry.ended_at for entry in entries] == [NOW] * 3 + [1]
            assert not await chain_faults(store)


async def test_an_intent_in_flight_is_not_closed_by_reconciling(database_url: str) -> None:
    change = intent()
    async with opened(database_url) as store:
        number = await store.audit_log.begin(change, at=1)
        store.audit_log.mark_unsynced()
        await store.flush()
        assert [entry.outcome for entry in await store.audit_log.entries()] == [None]
        await store.audit_log.finish(number, change, DONE, None, at=2)
        assert [entry.outcome for entry in await store.audit_log.entries()] == [DONE]


async def test_concurrent_changes_leave_a_whole_chain(database_url: str) -> None:
    async with opened(database_url) as store:

        async def adjust(place: int) -> None:
            change = intent(f"image-{place % 7}")
            number = await store.audit_log.begin(change, at=place)
            await store.audit_log.finish(number, change, DONE, AnnotationChange({f"key-{place}": "1"}), at=place)

        async def annotate(place: int) -> None:
            await store.audit_log.record(intent("image-0"), DONE, AnnotationChange({f"other-{place}": "1"}), at=place)

        async with asyncio.TaskGroup() as tasks:
            for place in range(25):
                tasks.create_task(adjust(place), name="adjust")
                tasks.create_task(annotate(place), name="annotate")
        entries = await store.audit_log.entries(limit=1_000)
        numbers = await store.audit_log.read_chain(lambda records, _, __: [record.number for record in records])
        assert numbers == list(range(1, 101))
        assert len(entries) == 50
        assert all(entry.outcome == DONE for entry in entries)
        assert not await chain_faults(store)
        assert sum(map(len, store.audit_log.annotations_of("dc1").values())) == 50


async def test_a_long_chain_is_read_whole(database_url: str) -> None:
    copy = (
        "INSERT INTO audit SELECT number + :step, NULL, at, controller, image_uuid, actor, text, hash FROM audit"
        " WHERE number > :least"
    )
    async with opened(database_url) as store:
        for _ in range(3):
            await store.audit_log.record(intent(), DONE, None, at=1)
        await run(store, copy, step=6_000, least=0)
        for power in range(8):
            await run(store, copy, step=6 * 2**power, least=6_000)
        numbers = await store.audit_log.read_chain(lambda records, _, __: [record.number for record in records])
        assert numbers == [*range(1, 7), *range(6_001, 6_001 + 6 * 2**8)]


# Annotations


@pytest.mark.parametrize(
    ("change", "after"),
    [
        pytest.param(AnnotationChange({"c": "3"}), {"a": "1", "b": "2", "c": "3"}, id="set"),
        pytest.param(AnnotationChange({"a": "9"}), {"a": "9", "b": "2"}, id="set-anew"),
        pytest.param(AnnotationChange({"a": None, "z": None}), {"b": "2"}, id="remove"),
        pytest.param(AnnotationChange({"a": None, "b": None}), None, id="remove-all"),
        pytest.param(AnnotationChange({"c": "3", "a": None}, replace=True), {"c": "3"}, id="replace"),
        pytest.param(AnnotationChange({}, replace=True), None, id="replace-by-nothing"),
        pytest.param(AnnotationChange({}), {"a": "1", "b": "2"}, id="nothing"),
        pytest.param(
            AnnotationChange({f"key-{number}": "v" for number in range(500)} | {"a": None, "b": None}),
            {f"key-{number}": "v" for number in range(500)},
            id="more-than-one-statement-takes",
        ),
        pytest.param(AnnotationChange({"a": "é🚀\n\"'\\ %s :x"}), {"a": "é🚀\n\"'\\ %s :x", "b": "2"}, id="any-text"),
    ],
)
async def test_annotations_are_changed_key_by_key_and_kept(
    database_url: str, change: AnnotationChange, after: Mapping[str, str] | None
) -> None:
    expected = {"image-2": {"a": "0"}} | ({"image-1": after} if after else {})
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, AnnotationChange({"a": "1", "b": "2"}), at=1)
        await store.audit_log.record(intent("image-2"), DONE, AnnotationChange({"a": "0"}), at=1)
        await store.audit_log.record(intent("image-1", controller="dc2"), DONE, AnnotationChange({"a": "0"}), at=1)
        await store.audit_log.record(intent(), DONE, change, at=2)
        assert store.audit_log.annotations_of("dc1") == expected
    async with opened(database_url) as store:
        assert store.audit_log.annotations_of("dc1") == expected
        assert store.audit_log.annotations_of("dc2") == {"image-1": {"a": "0"}}
        assert not store.audit_log.annotations_of("dc3")


async def test_annotations_that_did_not_change_stay_the_same_object(database_url: str) -> None:
    async with opened(database_url) as store:
        for uuid in ("image-1", "image-2"):
            await store.audit_log.record(intent(uuid), DONE, TICKET, at=1)
        before = store.audit_log.annotations_of("dc1")
        await store.audit_log.record(intent("image-1"), DONE, AnnotationChange({"more": "1"}), at=2)
        after = store.audit_log.annotations_of("dc1")
        assert before["image-1"] == {"ticket": "CHG-1"}
        assert after["image-1"] is not before["image-1"]
        assert after["image-2"] is before["image-2"]
        store.audit_log.mark_unsynced()
        await store.flush()
        again = store.audit_log.annotations_of("dc1")
        assert [again[uuid] is after[uuid] for uuid in after] == [True, True]


async def test_an_annotation_and_its_record_are_one_transaction(database_url: str) -> None:
    """A value that PostgreSQL refuses and SQLite takes: nothing of it may be kept, or all."""
    async with opened(database_url) as store:
        try:
            await store.audit_log.record(intent(), DONE, AnnotationChange({"a": "1", "b": "\x00"}), at=1)
        except StoreError:
            assert database_url.startswith("postgresql")
        await store.flush()
        assert len(await store.audit_log.entries()) == len(store.audit_log.annotations_of("dc1"))
        assert not await chain_faults(store)


# Searching


SEARCHES: Mapping[str, tuple[Mapping[str, Any], list[int]]] = {
    "all": ({}, [9, 7, 5, 3, 1]),
    "image": ({"image_uuid": "image-2"}, [9, 3]),
    "controller": ({"controller": "dc2"}, [7]),
    "controllers": ({"controllers": frozenset({"dc2", "dc3"})}, [9, 7]),
    "no-controllers": ({"controllers": frozenset()}, []),
    "actor": ({"actor": "bob"}, [5]),
    "since": ({"since": 4.0}, [9, 7]),
    "until": ({"until": 2.0}, [3, 1]),
    "between": ({"since": 2.0, "until": 3.0}, [5, 3]),
    "before": ({"before": 5}, [3, 1]),
    "limit": ({"limit": 2}, [9, 7]),
    "page": ({"limit": 2, "before": 7}, [5, 3]),
    "both": ({"image_uuid": "image-2", "controller": "dc1"}, [3]),
    "image-and-controllers": ({"image_uuid": "image-2", "controllers": frozenset({"dc1"})}, [3]),
    "no-match": ({"actor": "carol"}, []),
    "before-more-than-there-can-be": ({"before": 2**80}, [9, 7, 5, 3, 1]),
    "before-less-than-there-can-be": ({"before": -(2**80)}, []),
    "zero-byte": ({"actor": "a\x00"}, []),
    "lone-surrogate": ({"image_uuid": "\ud800"}, []),
    "nones": ({"image_uuid": None, "controllers": None, "before": None, "since": None, "until": None}, [9, 7, 5, 3, 1]),
}


async def test_records_are_found_newest_first(database_url: str) -> None:
    async with opened(database_url) as store:
        for at, change in enumerate(
            [
                intent("image-1"),
                intent("image-2"),
                intent("image-1", actor="bob"),
                intent("image-1", controller="dc2"),
                intent("image-2", controller="dc3"),
            ],
            1,
        ):
            await store.audit_log.record(change, DONE, None, at=at)
        for name, (search, numbers) in SEARCHES.items():
            entries = await store.audit_log.entries(**search)
            assert [entry.number for entry in entries] == numbers, name
            assert store.up, name


async def test_fifty_intents_are_returned_by_default(database_url: str) -> None:
    async with opened(database_url) as store:
        for _ in range(51):
            await store.audit_log.record(intent(), DONE, None, at=1)
        assert len(await store.audit_log.entries()) == 50


# Tampering


TAMPERINGS: Mapping[str, tuple[str, Callable[[list[str]], bool]]] = {
    "text": (
        "UPDATE audit SET text = replace(text, 'alice', 'mallory') WHERE number = 3",
        lambda found: len(found) == 1,
    ),
    "actor": ("UPDATE audit SET actor = 'mallory' WHERE number = 3", lambda found: len(found) == 1),
    "at": ("UPDATE audit SET at = at + 1 WHERE number = 3", lambda found: len(found) == 1),
    "hash": ("UPDATE audit SET hash = (SELECT hash FROM audit_head) WHERE number = 3", lambda found: len(found) == 2),
    "outcome": ("UPDATE audit SET intent = 2 WHERE number = 4", lambda found: len(found) >= 1),
    "first": ("DELETE FROM audit WHERE number = 1", lambda found: "record 1 is missing" in found),
    "some": ("DELETE FROM audit WHERE number IN (3, 4)", lambda found: found == ["records 3 to 4 are missing"]),
    "last": ("DELETE FROM audit WHERE number > 4", lambda found: len(found) == 1),
    "all": ("DELETE FROM audit", lambda found: len(found) == 1),
    "numbers": ("UPDATE audit SET number = -number", lambda found: len(found) >= 1),
    "head": ("UPDATE audit_head SET number = 4", lambda found: len(found) == 1),
    "head-hash": (
        "UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE number = 1)",
        lambda found: len(found) == 1,
    ),
}


@pytest.mark.parametrize(("statement", "is_found"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
async def test_tampering_is_found(database_url: str, statement: str, is_found: Callable[[list[str]], bool]) -> None:
    async with opened(database_url) as store:
        for at in range(3):
            await store.audit_log.record(intent(), DONE, None, at=at)
        assert not await chain_faults(store)
        await run(store, "DROP INDEX audit_of_image")  # no index helps or hinders
        await run(store, statement)
        found = await chain_faults(store)
        assert is_found(found), found


async def test_a_record_that_cannot_be_read_is_named(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        await store.audit_log.record(intent(), DONE, None, at=1)
        await run(store, "UPDATE audit SET text = 'gone' WHERE number = 3")
        with pytest.raises(AlteredRecord, match="record 3 of the audit was altered and cannot be read"):
            await store.audit_log.entries()
        assert [entry.number for entry in await store.audit_log.entries(before=3)] == [1]
    async with opened(database_url) as store:
        assert store.up


async def test_a_record_with_a_value_of_another_type_is_named(tmp_path: Path) -> None:
    """SQLite takes any; PostgreSQL would not."""
    async with opened(migrated_url(tmp_path)) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        await run(store, "UPDATE audit SET hash = 'no hash' WHERE number = 2")
        with pytest.raises(AlteredRecord, match="record 2 of the audit was altered and cannot be read"):
            await chain_faults(store)


@pytest.mark.parametrize(
    "alteration",
    [
        pytest.param("text = 'gone'", id="text"),
        pytest.param("text = CAST(x'ff' AS TEXT)", id="no-utf-8"),
        pytest.param("text = x'00', actor = x'00', controller = x'00', image_uuid = x'00'", id="no-text"),
        pytest.param("hash = 'no hash', at = 'once'", id="other-types"),
    ],
)
async def test_an_open_intent_that_was_altered_is_closed_and_the_audit_continues(
    tmp_path: Path, alteration: str
) -> None:
    """SQLite takes any value."""
    url = migrated_url(tmp_path)
    async with opened(url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        await store.audit_log.begin(intent(), at=1)
        await run(store, f"UPDATE audit SET {alteration} WHERE number = 3")  # noqa: S608  our own
    async with opened(url) as store:
        assert store.up
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        assert await store.audit_log.record(intent(), DONE, None, at=2) == 5
        async with store.database.transaction() as connection:
            (outcome,) = (await connection.execute(text("SELECT text FROM audit WHERE intent = 3"))).scalars()
        assert "unknown" in outcome


async def test_an_open_intent_whose_text_was_altered_does_not_keep_the_store_down(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.begin(intent(), at=1)
        await run(store, "UPDATE audit SET text = 'gone'")
    async with opened(database_url) as store:
        assert store.up
        assert await chain_faults(store) == ["record 1 was altered, or the one before it"]


async def test_finishing_an_altered_intent_writes_it_again(tmp_path: Path) -> None:
    change = intent()
    async with opened(migrated_url(tmp_path)) as store:
        number = await store.audit_log.begin(change, at=1)
        await run(store, "UPDATE audit SET text = x'00', hash = 'no hash'")
        await store.audit_log.finish(number, change, DONE, TICKET, at=2)
        (entry,) = await store.audit_log.entries(limit=1)
        assert (entry.intent, entry.outcome) == (change, DONE)
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}


@pytest.mark.parametrize("alteration", ["UPDATE audit_head SET hash = 'no hash'", "DELETE FROM audit_head"])
async def test_an_altered_head_is_reported(tmp_path: Path, alteration: str) -> None:
    url = migrated_url(tmp_path)
    words = "the head of the audit is missing or was altered, so no record can be added"
    async with opened(url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        await run(store, alteration)
    with capture_logs() as logs:
        async with closing(Store(url)) as store:
            with pytest.raises(StoreError, match=words):
                await store.open()
            await store.try_flush()
            with pytest.raises(StoreError, match=words):
                await store.audit_log.record(intent(), DONE, None, at=2)
            assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
    assert [(line["event"], line["cause"]) for line in logs][:1] == [("database_down", words)]
    assert len(logs) == 2


# The log


async def test_each_record_is_logged_once_with_its_hash(database_url: str) -> None:
    change = intent(name="new")
    outcome = Outcome(kind="done", changes={"name": ("old", "new")}, answer=200)
    async with opened(database_url) as store:
        with capture_logs() as logs:
            number = await store.audit_log.begin(change, at=1)
            await store.audit_log.finish(number, change, outcome, None, at=2)
            await store.audit_log.record(intent(), DONE, TICKET, at=3)
        hashes = await store.audit_log.read_chain(lambda records, _, __: [record.hash.hex() for record in records])
    assert [line["hash"] for line in logs] == hashes
    first, second, *_ = logs
    assert first == {
        "event": "audit",
        "log_level": "info",
        "kind": "intent",
        "number": 1,
        "intent": None,
        "controller": "dc1",
        "image_uuid": "image-1",
        "actor": "alice",
        "source": "192.0.2.7",
        "request_id": change.request_id,
        "asked": {"name": "new"},
        "hash": hashes[0],
    }
    assert second == {
        "event": "audit",
        "log_level": "info",
        "kind": "outcome",
        "number": 2,
        "intent": 1,
        "controller": "dc1",
        "image_uuid": "image-1",
        "actor": "alice",
        "request_id": change.request_id,
        "outcome": "done",
        "changes": {"name": ["old", "new"]},
        "answer": 200,
        "detail": "",
        "hash": hashes[1],
    }


async def test_closing_an_open_intent_is_logged_with_its_request(database_url: str) -> None:
    change = intent()
    async with opened(database_url) as store:
        await store.audit_log.begin(change, at=1)
    with capture_logs() as logs:
        async with opened(database_url):
            pass
    (line,) = logs
    assert (line["kind"], line["outcome"], line["request_id"]) == ("outcome", "unknown", change.request_id)
