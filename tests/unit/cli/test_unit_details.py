"""The earlier operations of a unit, in the Controller's own words."""

import json

import pytest

from monitor.cli.api.unit_details import Operation, earlier_operations

ONE = {
    "ops": "UPGRADE",
    "version": "31.2.2-9123",
    "state": {"state": "UPGRADE_FSM_COMPLETED"},
    "end_time": "2025-06-01",
}


def test_the_last_operation_comes_first() -> None:
    unit = {"history": [ONE, {**ONE, "ops": "ROLLBACK"}]}
    first, second = earlier_operations(json.dumps(unit).encode())
    assert (first.operation, second) == (
        "ROLLBACK",
        Operation("UPGRADE", "31.2.2-9123", "UPGRADE_FSM_COMPLETED", "2025-06-01"),
    )


@pytest.mark.parametrize("history", [None, {}, "", [], [1, None]])
def test_a_history_of_another_form_is_none(history: object) -> None:
    assert earlier_operations(json.dumps({"history": history}).encode()) == []


def test_members_of_another_form_are_shown_as_they_are() -> None:
    unit = {"history": [{"ops": 7, "state": "DONE", "end_time": {"secs": 1}}]}
    assert earlier_operations(json.dumps(unit).encode()) == [Operation("7", "", "DONE", '{"secs":1}')]
