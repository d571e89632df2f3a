"""What the log says of polls and objects."""

from collections.abc import MutableMapping
from typing import Any

import structlog
from msgspec import Raw, json
from structlog.testing import capture_logs

from monitor.model.errors import BadStatus, LoginRefused, Unavailable, Unreachable
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import OperationMark, ProgressMark
from monitor.polling.resources import UPGRADE, TrackingSettings
from monitor.polling.tracker import Tracker
from tests.support.polling import (
    ChangingAnnotations,
    KeptMarks,
    NoHistory,
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
        LoginRefused("auth", "401"),
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
        ("controller_down", "warning", "http_4xx"),
        ("controller_auth_suspended", "warning", "auth"),
    ]


async def test_a_new_reason_of_a_lasting_failure_is_no_warning() -> None:
    answers = (DOWN, Unreachable("timeout", "late"), DOWN, LoginRefused("auth", "401"))
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


async def logged_changes(*answers: ObjectList) -> list[MutableMapping[str, Any]]:
    """What the log says of objects after the first read."""
    with capture_logs() as logs:
        async with running_poller(*answers) as (fleet, _):
            await wait_until(fleet, lambda entry: entry.session.polls == len(answers))
    return [line for line in logs if "object" in line["event"] and line["event"] != "objects_listed"]


def renamed(name: str, *, images: int) -> ObjectList:
    return image_list(*(image_fields(f"image-{number}", name=name) for number in range(images)))


async def test_annotations_that_lapsed_while_the_daemon_was_down_are_logged_at_the_first_read() -> None:
    annotations, marks = ChangingAnnotations(), KeptMarks()
    annotations.of_images = {"cluster-1@5.000": {"b": "1", "a": "2"}, "cluster-1@9.000": {"c": "3"}}
    before = OperationMark("5.000", "upgrade", 5.0, active=False)
    marks.marks["upgrade"] = {"cluster-1": ProgressMark(b"", 1.0, 1.0, before)}
    with capture_logs() as logs:
        tracker = Tracker(
            "dc1", UPGRADE, marks, annotations, NoHistory(), settings=TrackingSettings(), log=structlog.get_logger()
        )
        fields = {"uuid": "cluster-1", "name": "c", "upgrade_ops": "UPGRADE", "start_time": "1970-01-01 00:00:09"}
        await tracker.apply_list(ObjectList(raws={"cluster-1": Raw(json.encode(fields))}), at=10.0)
        await tracker.apply_list(ObjectList(raws={"cluster-1": Raw(json.encode({**fields, "name": "d"}))}), at=11.0)
    (lapsed,) = [line for line in logs if line["event"] == "annotations_lapsed"]
    assert (lapsed["uuid"], lapsed["operation_key"], lapsed["keys"]) == ("cluster-1", "5.000", ["a", "b"])
    assert tracker.collection.snapshot.objects["cluster-1"].annotations == {"c": "3"}


async def test_of_very_many_changes_a_few_are_logged_and_the_rest_is_summed_up() -> None:
    logged = await logged_changes(renamed("a", images=100), renamed("b", images=190))
    assert [line["event"] for line in logged] == ["object_appeared"] * 20 + ["more_objects_changed"]
    assert (logged[-1]["log_level"], logged[-1]["resource"], logged[-1]["objects"]) == ("info", "image", 170)
    assert (logged[-1]["object_appeared"], logged[-1]["object_edited"]) == (70, 100)


async def test_the_most_important_of_very_many_changes_are_logged() -> None:
    failed = [image_fields(f"image-{number}", img_state={"state": "IMAGE_FSM_FAILED"}) for number in (150, 160)]
    names = [image_fields(f"image-{number}", name="b") for number in range(190) if number not in {150, 160}]
    logged = await logged_changes(renamed("a", images=190), image_list(*names, *failed))
    assert [line["uuid"] for line in logged if line["event"] == "object_failed"] == ["image-150", "image-160"]
    assert len(logged) == 21


async def test_changes_that_are_not_logged_at_info_are_not_summed_up_at_info_either() -> None:
    logged = await logged_changes(renamed("a", images=190), renamed("b", images=190))
    assert {line["log_level"] for line in logged} == {"debug"}
    assert (logged[-1]["event"], logged[-1]["objects"]) == ("more_objects_changed", 170)


async def test_of_very_many_bad_objects_a_few_are_logged_and_the_rest_is_counted() -> None:
    bad = image_list(*(image_fields(f"image-{number}", name=5) for number in range(190)))
    logged = await logged_changes(renamed("a", images=190), bad)
    assert [line["event"] for line in logged][:21] == ["bad_object"] * 20 + ["more_bad_objects"]
    assert (logged[20]["log_level"], logged[20]["objects"]) == ("warning", 170)
