"""What the log says of polls and objects."""

from structlog.testing import capture_logs

from monitor.model.errors import BadStatus, Refused, Unavailable, Unreachable
from tests.support.polling import (
    image_fields,
    image_list,
    running_poller,
    wait_until,
)

DOWN = Unreachable("connect", "refused")


async def test_changes_of_health_are_logged_once() -> None:
    upgrading = Unavailable("upgrading", "503 without a word")
    answers = (
        DOWN,
        DOWN,
        image_list(image_fields()),
        upgrading,
        DOWN,
        DOWN,
        BadStatus("http_4xx", "404"),
        Refused("auth", "401"),
    )
    with capture_logs() as logs:
        async with running_poller(*answers) as (fleet, _):
            await wait_until(fleet, lambda entry: entry.session.auth_suspended)
    logged = [
        (line["event"], line["log_level"], line.get("reason")) for line in logs if line["event"].startswith("contr")
    ]
    assert logged == [
        ("controller_down", "warning", "connect"),
        ("controller_up", "warning", None),
        ("controller_down", "info", "upgrading"),
        ("controller_down", "info", "connect"),
        ("controller_down", "warning", "http_4xx"),
        ("controller_auth_suspended", "warning", "auth"),
    ]


async def test_a_new_reason_of_a_lasting_failure_is_no_warning() -> None:
    answers = (DOWN, Unreachable("timeout", "late"), DOWN, Refused("auth", "401"))
    with capture_logs() as logs:
        async with running_poller(*answers) as (fleet, _):
            await wait_until(fleet, lambda entry: entry.session.auth_suspended)
    logged = [(line["log_level"], line["reason"]) for line in logs if line["event"].startswith("controller")]
    assert logged == [("warning", "connect"), ("info", "timeout"), ("info", "connect"), ("warning", "auth")]


async def test_the_first_read_logs_one_event_and_later_reads_one_for_each_change() -> None:
    started = image_fields("image-2", img_state={"state": "IMAGE_FSM_STARTED"})
    answers = (
        image_list(image_fields(), started),
        image_list(image_fields(), {**started, "progress": 10}),
        image_list(image_fields(), {**started, "progress": 10, "name": "renamed"}),
        image_list(image_fields(), {**started, "img_state": {"state": "IMAGE_FSM_FAILED", "reason": "disk full"}}),
        image_list(image_fields("image-3")),
        image_list(image_fields("image-3", img_state={"state": "IMAGE_FSM_STARTED"})),
    )
    with capture_logs() as logs:
        async with running_poller(*answers) as (fleet, _):
            await wait_until(fleet, lambda entry: entry.session.polls == len(answers))
    logged = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("object")]
    assert logged == [
        ("objects_listed", "info"),
        ("object_moved", "debug"),
        ("object_edited", "debug"),
        ("object_failed", "warning"),
        ("object_appeared", "info"),
        ("object_vanished", "info"),
        ("object_vanished", "info"),
        ("object_state_changed", "info"),
    ]
    assert [line["cause"] for line in logs if line["event"] == "object_failed"] == ["disk full"]
