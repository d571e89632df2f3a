"""What is kept of the JSON of upgrade status, how a summary completes it, and whether summaries can be believed."""

import json
import tracemalloc
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.upgrade import decode_upgrade
from monitor.avi.upgrade_raw import MAX_UNIT_BYTES, complete, summary_is_usable, trim, without_engine_events
from monitor.model.errors import BadObject
from tests.support.strategies import BOUNDED, dumps, json_values
from tests.support.upgrade_strategies import units
from tests.support.worst_replies import LIMIT, WORST_UNITS, Reply

UNIT = {"uuid": "serviceenginegroup-1", "name": "g1", "state": {"state": "UPGRADE_FSM_COMPLETED"}}


def raw(fields: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(fields).encode())


def operation(number: int) -> dict[str, object]:
    return {
        "ops": "UPGRADE",
        "version": f"{number}.1.1",
        "state": {"state": "UPGRADE_FSM_COMPLETED"},
        "upgrade_events": [{"task_name": "T"}],
        "se_upgrade_events": [{"task": "SE_REBOOT"}],
        "seg_status": {"num_se": 4},
    }


# --- trimming


def test_an_object_without_history_is_kept_as_it_came() -> None:
    unit = raw(UNIT)
    trimmed = trim(unit)
    assert trimmed.raw is unit
    assert trimmed.left_out == ()


def test_the_last_ten_operations_are_kept_without_their_events() -> None:
    trimmed = trim(raw({**UNIT, "history": [operation(number) for number in range(25)]}))
    kept = json.loads(bytes(trimmed.raw))
    assert {name: kept[name] for name in UNIT} == UNIT
    assert [each["version"] for each in kept["history"]] == [f"{number}.1.1" for number in range(15, 25)]
    assert {frozenset(each) for each in kept["history"]} == {frozenset({"ops", "version", "state"})}


def test_a_history_of_ten_megabytes_becomes_small_and_can_be_decoded() -> None:
    long = {**operation(1), "upgrade_events": [{"task_name": "T", "x": "x" * 1000}] * 1000}
    trimmed = trim(raw({**UNIT, "history": [long] * 10}))
    assert len(bytes(trimmed.raw)) < 2000
    assert decode_upgrade(trimmed.raw)[0].name == "g1"


@pytest.mark.parametrize("history", [None, "x", [1], {}, [None]])
def test_a_history_of_another_shape_is_left_out(history: object) -> None:
    assert json.loads(bytes(trim(raw({**UNIT, "history": history})).raw)) == UNIT


def test_a_large_object_loses_the_events_of_its_service_engines_and_says_so() -> None:
    events = [{"task": "SE_REBOOT", "reason": ["x" * 1000]}] * 300
    trimmed = trim(raw({**UNIT, "se_upgrade_events": events}))
    assert json.loads(bytes(trimmed.raw)) == UNIT
    assert trimmed.left_out == ("se_upgrade_events",)


def test_a_large_object_without_such_events_is_kept() -> None:
    large = {**UNIT, "name": "x" * MAX_UNIT_BYTES}
    trimmed = trim(raw(large))
    assert json.loads(bytes(trimmed.raw)) == large
    assert trimmed.left_out == ()


@pytest.mark.parametrize(
    "broken", [b'{"history": [', b'["history"]', b'{"history": NaN}', b'{"history\xff": 1, "history": 1}']
)
def test_what_is_no_object_is_left_for_the_decoder_to_refuse(broken: bytes) -> None:
    assert bytes(trim(msgspec.Raw(broken)).raw) == broken


@BOUNDED
@given(units, st.none() | st.lists(st.builds(operation, st.integers(0, 9)), max_size=12))
def test_trimming_changes_nothing_that_is_decoded(fields: dict[str, object], history: object) -> None:
    whole = raw({"uuid": "se-1", **fields, "history": history})
    assert decode_upgrade(trim(whole).raw) == decode_upgrade(whole)


@BOUNDED
@given(st.binary(max_size=40) | json_values.map(lambda value: dumps({"history": value})) | json_values.map(dumps))
def test_any_bytes_can_be_trimmed(body: bytes) -> None:
    trimmed = trim(msgspec.Raw(body))
    assert trim(trimmed.raw) == trimmed


@pytest.mark.parametrize("worst", WORST_UNITS.values(), ids=WORST_UNITS)
def test_the_worst_unit_takes_no_more_memory_than_a_few_copies_of_the_reply(worst: Reply) -> None:
    reply = msgspec.Raw(worst.body(LIMIT // 8))
    tracemalloc.start()
    try:
        kept = trim(reply).raw
        without_engine_events(kept)
        complete(kept, raw(UNIT))
        with suppress(BadObject):
            decode_upgrade(kept)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 4 * memoryview(reply).nbytes


# --- completing


def test_a_newer_summary_completes_an_info() -> None:
    info = {**UNIT, "progress": 40, "previous_version": "30.2.1", "end_time": "x", "version": "30.2.1"}
    summary = {"uuid": UNIT["uuid"], "state": {"state": "UPGRADE_FSM_ERROR"}, "version": "31.2.2", "end_time": ""}
    completed = json.loads(bytes(complete(raw(info), raw({**summary, "name": None}))))
    assert completed == {**info, "state": summary["state"], "version": "31.2.2"}


def test_what_cannot_be_completed_is_the_summary() -> None:
    summary = raw(UNIT)
    assert complete(msgspec.Raw(b"[]"), summary) is summary


# --- whether the summary can be used


def listed(*states: str | None) -> dict[str, msgspec.Raw]:
    return {
        f"se-{place}": raw({"uuid": f"se-{place}"} | ({"state": {"state": state}} if state else {}))
        for place, state in enumerate(states)
    }


def test_a_summary_that_tells_the_same_can_be_used() -> None:
    both = "UPGRADE_FSM_INIT", "UPGRADE_FSM_COMPLETED", None
    assert summary_is_usable(listed(*both), listed(*both))
    assert summary_is_usable({"se-0": raw({"state": "UPGRADE_FSM_INIT"})}, listed("UPGRADE_FSM_INIT"))


@pytest.mark.parametrize(
    "summaries",
    [
        pytest.param(listed("UPGRADE_FSM_INIT"), id="a unit less"),
        pytest.param(listed("UPGRADE_FSM_INIT", "UPGRADE_FSM_INIT", "UPGRADE_FSM_INIT"), id="a unit more"),
        pytest.param(listed("UPGRADE_FSM_INIT", "UPGRADE_FSM_ERROR"), id="another state"),
        pytest.param(listed("UPGRADE_FSM_INIT", None), id="no state"),
        pytest.param(listed("UPGRADE_FSM_INIT") | {"se-1": msgspec.Raw(b"[]")}, id="undecodable"),
    ],
)
def test_a_summary_that_tells_otherwise_cannot_be_used(summaries: dict[str, msgspec.Raw]) -> None:
    assert not summary_is_usable(summaries, listed("UPGRADE_FSM_INIT", "UPGRADE_FSM_INIT"))


def test_what_cannot_be_decoded_is_kept_as_it_is() -> None:
    bad = msgspec.Raw(b"[1")
    assert without_engine_events(bad) is bad
