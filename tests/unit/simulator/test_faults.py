"""Which requests a fault hits, and the faults that change images, pages and deliveries."""

import gzip
from typing import Any

import pytest

from monitor.simulator import SCENARIOS, Fault, fault_table
from monitor.simulator.fault_delivery import CHUNKED, Delivery, reset, slow_reply
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


def active_faults(*faults: Fault) -> ActiveFaults:
    active = ActiveFaults(fault_table.FAULT_KINDS)
    for fault in faults:
        active.add(fault)
    return active


def changed_images(kind: str, *, value: str | None = None, every: bool = False) -> list[Any]:
    return fault_table.change_images(IMAGES, (Fault(kind, value=value, all=every),))


def test_an_unknown_fault_is_rejected() -> None:
    with pytest.raises(ValueError, match="unknown fault 'earthquake'; expected one of absent_fields,"):
        active_faults(Fault("earthquake"))


def test_a_fault_hits_the_given_number_of_requests() -> None:
    faults = active_faults(Fault("hang", times=2))
    assert [bool(faults.consume(LIST)) for _ in range(3)] == [True, True, False]


def test_a_fault_without_a_number_hits_until_cleared() -> None:
    faults = active_faults(Fault("hang"))
    assert all(faults.consume(LIST) for _ in range(10))
    faults.clear()
    assert faults.consume(LIST) == ()


def test_active_faults_show_how_many_requests_they_will_still_hit() -> None:
    faults = active_faults(Fault("hang", times=3), Fault("close"))
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
    ids=["path-below", "longer-name", "other-path", "every-path", "log-in", "other-method", "same-method"],
)
def test_a_fault_hits_its_path_and_the_paths_below(fault: Fault, method: str, path: str, *, hit: bool) -> None:
    assert bool(active_faults(fault).consume(HttpRequest(method, path))) is hit


def test_a_request_that_does_not_match_is_not_counted() -> None:
    faults = active_faults(Fault("hang", times=1))
    faults.consume(HttpRequest("GET", "/api/cluster"))
    assert faults.consume(LIST)


IMAGE_FAULTS = sorted(fault_table.IN_IMAGES.keys() - {"duplicate_uuids"})


@pytest.mark.parametrize("kind", IMAGE_FAULTS)
def test_a_fault_in_images_changes_only_the_first_image(kind: str) -> None:
    changed = changed_images(kind)
    assert changed[0] != IMAGES[0]
    assert changed[1:] == IMAGES[1:]


@pytest.mark.parametrize("kind", IMAGE_FAULTS)
def test_a_fault_in_images_with_all_changes_every_image(kind: str) -> None:
    assert all(after != before for after, before in zip(changed_images(kind, every=True), IMAGES, strict=True))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("space", "2025-02-13 10:31:02"),
        ("iso", "2025-02-13T10:31:02Z"),
        ("fraction", "2025-02-13 10:31:02.000000"),
        ("microseconds", "1739442662000000"),
        ("empty", ""),
        ("absent", None),
    ],
)
def test_times_are_sent_in_the_chosen_format(value: str, expected: str | None) -> None:
    assert changed_images("time_format", value=value)[0].get("start_time") == expected


def test_times_of_events_are_sent_in_the_same_format() -> None:
    event = changed_images("time_format", value="iso")[0]["events"][0]["nodes_events"][0]
    assert event["end_time"] == "2025-02-13T10:31:05Z"


def test_a_text_that_is_not_a_time_is_not_changed() -> None:
    fault = Fault("time_format", value="iso")
    assert fault_table.change_images([{"start_time": "string"}], (fault,)) == [{"start_time": "string"}]


def test_the_time_formats_have_these_names() -> None:
    assert TIME_FORMATS.keys() == {"space", "iso", "fraction", "microseconds", "empty", "absent"}


def test_the_value_of_a_fault_chooses_the_fields() -> None:
    assert changed_images("absent_fields", value="uuid,events")[0].keys() == {"name", "start_time", "img_state"}
    assert changed_images("null_fields", value="events")[0] == {**IMAGES[0], "events": None}
    assert changed_images("wrong_types", value="name")[0] == {**IMAGES[0], "name": 17}


@pytest.mark.parametrize(
    ("value", "uuids"),
    [(None, ["0", "1", "2", "0"]), ("replace", ["0", "1", "0"])],
    ids=["added", "in-place-of-the-last"],
)
def test_a_uuid_is_listed_twice(value: str | None, uuids: list[str]) -> None:
    assert [image["uuid"][-1] for image in changed_images("duplicate_uuids", value=value)] == uuids


def test_several_faults_change_the_same_images() -> None:
    faults = (Fault("not_an_object"), Fault("null_fields", all=True))
    changed = fault_table.change_images(IMAGES, faults)
    assert (changed[0], changed[1]["name"]) == ("image", None)


@pytest.mark.parametrize(("page", "count", "left"), [(1, 3, 3), (2, 2, 2)])
def test_the_list_shrinks_from_page_to_page(page: int, count: int, left: int) -> None:
    envelope = {"count": 3, "results": IMAGES}
    shrunk = fault_table.change_page(envelope, (Fault("shrinking_pages"),), page)
    assert (shrunk["count"], len(shrunk["results"])) == (count, left)


def test_each_page_has_another_count() -> None:
    envelope = {"count": 3, "results": IMAGES}
    counts = [fault_table.change_page(envelope, (Fault("varying_count"),), page)["count"] for page in (1, 2)]
    assert counts == [3, 4]


def test_only_the_first_page_has_the_changed_image() -> None:
    envelope = {"count": 3, "results": IMAGES}
    assert fault_table.change_page(envelope, (Fault("not_an_object"),), 2) == envelope


def test_results_are_not_a_list() -> None:
    envelope = fault_table.change_page({"count": 3, "results": IMAGES}, (Fault("not_a_list"),), 1)
    assert list(envelope["results"]) == ["0", "1", "2"]


def deliver(fault: Fault) -> Delivery:
    return fault_table.apply_to_delivery(Delivery(HttpResponse(200, b'{"count":1,"results":[{"name":"x"}]}')), (fault,))


def test_a_gzip_bomb_is_small_until_it_is_decompressed() -> None:
    bomb = deliver(Fault("gzip_bomb", size=5_000_000)).response
    assert len(bomb.body) < 10_000
    assert len(gzip.decompress(bomb.body)) > 5_000_000


def test_an_oversized_body_has_no_content_length_or_a_wrong_one() -> None:
    assert deliver(Fault("oversized_body", size=100)).content_length == CHUNKED
    wrong = deliver(Fault("oversized_body", size=100, value="wrong_length"))
    assert (wrong.content_length or 0) > (wrong.send_bytes or 0) > 100


def test_every_kind_of_fault_acts_at_exactly_one_point() -> None:
    kinds = [*fault_table.BEFORE, *fault_table.IN_IMAGES, *fault_table.IN_PAGE, *fault_table.IN_DELIVERY]
    assert sorted(kinds) == sorted(fault_table.FAULT_KINDS)


def test_a_late_delivery_is_intact_and_a_reset_one_is_not() -> None:
    assert slow_reply(Delivery(HttpResponse(200)), Fault("slow_reply")).intact
    assert not reset(Delivery(HttpResponse(200)), Fault("reset")).intact


def test_the_fleet_has_one_upload_that_fails_and_one_that_stalls() -> None:
    outcomes = [upload.outcome for spec in SCENARIOS["fleet"].controllers for upload in spec.uploads]
    assert (outcomes.count("failed"), outcomes.count("stalled"), outcomes.count("completed")) == (1, 1, 5)
