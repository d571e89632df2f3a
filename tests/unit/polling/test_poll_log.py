"""What the log says of polls and objects."""

from structlog.testing import capture_logs

from monitor.model.errors import BadStatus, Refused, Unavailable, Unreachable
from tests.support.polling import (
    image,
    listing,
    polling,
    until,
)

DOWN = Unreachable("connect", "refused")


async def test_health_is_said_when_it_changes_and_not_when_it_does_not() -> None:
    upgrading = Unavailable("upgrading", "503 without a word")
    answers = (
        DOWN,
        DOWN,
        listing(image()),
        upgrading,
        DOWN,
        DOWN,
        BadStatus("http_4xx", "404"),
        Refused("auth", "401"),
    )
    with capture_logs() as logs:
        async with polling(*answers) as (fleet, _):
            await until(fleet, lambda entry: entry.session.auth_suspended)
    said = [
        (line["event"], line["log_level"], line.get("reason")) for line in logs if line["event"].startswith("contr")
    ]
    assert said == [
        ("controller_down", "warning", "connect"),
        ("controller_up", "warning", None),
        ("controller_down", "info", "upgrading"),
        ("controller_down", "info", "connect"),
        ("controller_down", "warning", "http_4xx"),
        ("controller_auth_suspended", "warning", "auth"),
    ]


async def test_another_reason_for_the_same_bad_health_is_no_warning() -> None:
    answers = (DOWN, Unreachable("timeout", "late"), DOWN, Refused("auth", "401"))
    with capture_logs() as logs:
        async with polling(*answers) as (fleet, _):
            await until(fleet, lambda entry: entry.session.auth_suspended)
    said = [(line["log_level"], line["reason"]) for line in logs if line["event"].startswith("controller")]
    assert said == [("warning", "connect"), ("info", "timeout"), ("info", "connect"), ("warning", "auth")]


async def test_images_are_said_together_at_first_and_one_by_one_later() -> None:
    started = image("image-2", img_state={"state": "IMAGE_FSM_STARTED"})
    answers = (
        listing(image(), started),
        listing(image(), {**started, "progress": 10}),
        listing(image(), {**started, "progress": 10, "name": "renamed"}),
        listing(image(), {**started, "img_state": {"state": "IMAGE_FSM_FAILED", "reason": "disk full"}}),
        listing(image("image-3")),
        listing(image("image-3", img_state={"state": "IMAGE_FSM_STARTED"})),
    )
    with capture_logs() as logs:
        async with polling(*answers) as (fleet, _):
            await until(fleet, lambda entry: entry.session.polls == len(answers))
    said = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("object")]
    assert said == [
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
