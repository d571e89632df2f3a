"""Faults on order, and those that only change what is said."""

import gzip
from typing import Any

import pytest

from monitor.simulator import SCENARIOS, Fault
from monitor.simulator import fault_delivery as delivery
from monitor.simulator import fault_table as kinds
from monitor.simulator.fault_delivery import CHUNKED, Delivery
from monitor.simulator.fault_images import TIME_FORMATS
from monitor.simulator.faults import ActiveFaults
from monitor.simulator.http_types import HttpRequest, HttpResponse

LIST = HttpRequest("GET", "/api/image")
IMAGES: list[dict[str, Any]] = [
    {
        "uuid": f"image-{number}",
        "name": f"n{number}",
        "start_time": "2025-02-13 10:31:02",
        "events": [
            {"task_name": "t", "nodes_events": [{"end_time": "2025-02-13 10:31:05", "status": "SYSERR_SUCCESS"}]}
        ],
        "img_state": {"state": "IMAGE_FSM_IN_PROGRESS"},
    }
    for number in range(3)
]


def board(*faults: Fault) -> ActiveFaults:
    active = ActiveFaults(kinds.FAULT_KINDS)
    for fault in faults:
        active.order(fault)
    return active


def altered(kind: str, *, value: str | None = None, all_of_them: bool = False) -> list[Any]:
    return kinds.change_images(IMAGES, (Fault(kind, value=value, all=all_of_them),))


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault 'earthquake'; expected one of absent_fields,"):
        board(Fault("earthquake"))


def test_a_fault_hits_as_often_as_ordered() -> None:
    faults = board(Fault("hang", times=2))
    assert [bool(faults.consume(LIST)) for _ in range(3)] == [True, True, False]


def test_a_fault_without_a_number_hits_until_cleared() -> None:
    faults = board(Fault("hang"))
    assert all(faults.consume(LIST) for _ in range(10))
    faults.clear()
    assert faults.consume(LIST) == ()


def test_faults_that_are_left_say_how_often_they_will_still_hit() -> None:
    faults = board(Fault("hang", times=3), Fault("close"))
    faults.consume(LIST)
    assert [fault.times for fault in faults.active] == [2, None]


@pytest.mark.parametrize(
    ("fault", "method", "path", "hit"),
    [
        (Fault("hang"), "GET", "/api/image/image-1", True),
        (Fault("hang"), "GET", "/api/image-inventory", False),
        (Fault("hang"), "GET", "/api/cluster", False),
        (Fault("hang", path="/"), "POST", "/login", True),
        (Fault("hang", path="/login"), "POST", "/login", True),
        (Fault("hang", method="PATCH"), "GET", "/api/image", False),
        (Fault("hang", method="PATCH"), "PATCH", "/api/image/x", True),
    ],
    ids=["below", "beside", "elsewhere", "everything", "log-in", "other-method", "method"],
)
def test_a_fault_hits_its_path_and_what_is_below(fault: Fault, method: str, path: str, *, hit: bool) -> None:
    assert bool(board(fault).consume(HttpRequest(method, path))) is hit


def test_a_request_that_does_not_match_uses_nothing_up() -> None:
    faults = board(Fault("hang", times=1))
    faults.consume(HttpRequest("GET", "/api/cluster"))
    assert faults.consume(LIST)


IMAGE_FAULTS = sorted(kinds.IN_IMAGES.keys() - {"duplicate_uuids"})


@pytest.mark.parametrize("kind", IMAGE_FAULTS)
def test_a_fault_in_images_alters_the_first_alone(kind: str) -> None:
    changed = altered(kind)
    assert changed[0] != IMAGES[0]
    assert changed[1:] == IMAGES[1:]


@pytest.mark.parametrize("kind", IMAGE_FAULTS)
def test_a_fault_in_images_alters_all_where_it_is_meant_for_all(kind: str) -> None:
    assert all(after != before for after, before in zip(altered(kind, all_of_them=True), IMAGES, strict=True))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("space", "2025-02-13 10:31:02"),
        ("iso", "2025-02-13T10:31:02Z"),
        ("fraction", "2025-02-13 10:31:02.000000"),
        ("microseconds", "1739442662000000"),
        ("empty", ""),
        ("absent", None),
    ],
)
def test_times_are_told_in_every_format(value: str, told: str | None) -> None:
    assert altered("time_format", value=value)[0].get("start_time") == told


def test_times_of_events_are_told_in_the_same_format() -> None:
    event = altered("time_format", value="iso")[0]["events"][0]["nodes_events"][0]
    assert event["end_time"] == "2025-02-13T10:31:05Z"


def test_a_time_that_is_none_stays_what_it_is() -> None:
    fault = Fault("time_format", value="iso")
    assert kinds.change_images([{"start_time": "string"}], (fault,)) == [{"start_time": "string"}]


def test_every_time_format_is_known_by_name() -> None:
    assert TIME_FORMATS.keys() == {"space", "iso", "fraction", "microseconds", "empty", "absent"}


def test_fields_can_be_chosen() -> None:
    assert altered("absent_fields", value="uuid,events")[0].keys() == {"name", "start_time", "img_state"}
    assert altered("null_fields", value="events")[0] == {**IMAGES[0], "events": None}
    assert altered("wrong_types", value="name")[0] == {**IMAGES[0], "name": 17}


@pytest.mark.parametrize(
    ("value", "uuids"),
    [(None, ["0", "1", "2", "0"]), ("replace", ["0", "1", "0"])],
    ids=["beside", "instead"],
)
def test_a_uuid_comes_twice(value: str | None, uuids: list[str]) -> None:
    assert [image["uuid"][-1] for image in altered("duplicate_uuids", value=value)] == uuids


def test_faults_in_images_can_meet() -> None:
    faults = (Fault("not_an_object"), Fault("null_fields", all=True))
    changed = kinds.change_images(IMAGES, faults)
    assert (changed[0], changed[1]["name"]) == ("image", None)


@pytest.mark.parametrize(("page", "count", "left"), [(1, 3, 3), (2, 2, 2)])
def test_the_list_shrinks_from_page_to_page(page: int, count: int, left: int) -> None:
    envelope = {"count": 3, "results": IMAGES}
    shrunk = kinds.change_page(envelope, (Fault("shrinking_pages"),), page)
    assert (shrunk["count"], len(shrunk["results"])) == (count, left)


def test_pages_disagree_on_the_count() -> None:
    envelope = {"count": 3, "results": IMAGES}
    counts = [kinds.change_page(envelope, (Fault("varying_count"),), page)["count"] for page in (1, 2)]
    assert counts == [3, 4]


def test_only_the_first_page_has_the_altered_image() -> None:
    envelope = {"count": 3, "results": IMAGES}
    assert kinds.change_page(envelope, (Fault("not_an_object"),), 2) == envelope


def test_results_are_no_list() -> None:
    envelope = kinds.change_page({"count": 3, "results": IMAGES}, (Fault("not_a_list"),), 1)
    assert list(envelope["results"]) == ["0", "1", "2"]


def sent(fault: Fault) -> Delivery:
    return kinds.apply_to_delivery(Delivery(HttpResponse(200, b'{"count":1,"results":[{"name":"x"}]}')), (fault,))


def test_a_bomb_is_small_until_it_is_unpacked() -> None:
    bomb = sent(Fault("gzip_bomb", size=5_000_000)).response
    assert len(bomb.body) < 10_000
    assert len(gzip.decompress(bomb.body)) > 5_000_000


def test_an_oversized_body_says_no_length_or_a_lie() -> None:
    assert sent(Fault("oversized_body", size=100)).content_length == CHUNKED
    lie = sent(Fault("oversized_body", size=100, value="wrong_length"))
    assert (lie.content_length or 0) > (lie.send_bytes or 0) > 100


def test_every_kind_strikes_in_exactly_one_place() -> None:
    places = [*kinds.BEFORE, *kinds.IN_IMAGES, *kinds.IN_PAGE, *kinds.IN_DELIVERY]
    assert sorted(places) == sorted(kinds.FAULT_KINDS)


def test_a_delivery_that_is_only_late_is_still_whole() -> None:
    assert delivery.slow_reply(Delivery(HttpResponse(200)), Fault("slow_reply")).intact
    assert not delivery.reset(Delivery(HttpResponse(200)), Fault("reset")).intact


def test_the_demonstration_has_one_upload_that_fails_and_one_that_hangs() -> None:
    outcomes = [upload.outcome for spec in SCENARIOS["fleet"].controllers for upload in spec.uploads]
    assert (outcomes.count("failed"), outcomes.count("stalled"), outcomes.count("completed")) == (1, 1, 5)
