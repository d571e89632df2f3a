"""Decoding a Controller's replies: valid ones, and any bytes."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.avi.errors import decode_error
from monitor.avi.image import UNKNOWN_FIELDS, decode_image, decode_spans
from monitor.avi.login import decode_session_cookie_name, decode_version
from monitor.avi.paging import assemble, assemble_repeated, decode_page
from monitor.avi.values import HIGHEST_VERSION, _seconds, api_version_for, parse_time, version_key
from monitor.model.errors import BadAnswer, BadObject
from monitor.model.image import Image, ImageState
from monitor.model.snapshot import Page
from monitor.model.tracked import Event, EventState
from tests.support.strategies import BOUNDED, FEW, dumps, event_maps, images, json_values
from tests.support.worst_replies import WORST_PAGES, Reply

DATA = Path(__file__).parents[2] / "data"
SEED = (DATA / "image-seed.json").read_bytes()
PAGE = (DATA / "image-page.json").read_bytes()

START, END = "2025-02-13 10:31:05", "2025-02-13 10:32:40"
STARTED_AT = datetime(2025, 2, 13, 10, 31, 5, tzinfo=UTC).timestamp()
ENDED_AT = datetime(2025, 2, 13, 10, 32, 40, tzinfo=UTC).timestamp()


def raw(**fields: object) -> msgspec.Raw:
    """One image object as the Controller would send it."""
    return msgspec.Raw(json.dumps({"uuid": "u1", **fields}).encode())


def image_of(**fields: object) -> Image:
    image, _ = decode_image(raw(**fields))
    return image


def unknown_of(**fields: object) -> tuple[str, ...]:
    _, unknown = decode_image(raw(**fields))
    return unknown


def node_event(**fields: object) -> dict[str, object]:
    return {"ip": {"addr": "10.0.0.11", "type": "V4"}, **fields}


def at(addr: str) -> dict[str, object]:
    return node_event(ip={"addr": addr, "type": "V4"})


def event_of(**fields: object) -> Event:
    """The one event of an image that has one."""
    (event,) = image_of(events=[{"task_name": "Extract", "nodes_events": [node_event(**fields)]}]).events
    return event


# --- recorded answers


def test_the_seed_document_is_read_without_an_error() -> None:
    assert decode_image(msgspec.Raw(SEED)) == (
        Image(
            uuid="string",
            name="string",
            tenant="string",
            type="string",
            version="string",
            patch="string",
            reason="string",
            progress_ratio=0.0,
            tasks=0,
            tasks_completed=0,
            duration_s=0.0,
            events=(Event("string", "string", "failed", "other", duration_s=0.0, message="string"),),
        ),
        ("type", "img_state", *["time"] * 7),
    )


def test_the_seed_document_is_identified_by_its_uuid_in_a_page() -> None:
    page = decode_page(b'{"count": 1, "results": [%s]}' % SEED)

    assert [uuid for uuid, _ in page.objects] == ["string"]


@pytest.mark.parametrize(
    ("spoilt", "uuid"),
    [
        pytest.param(b'{"uuid": "image-1", "name": "half a pair: \\ud800"}', "image-1", id="lone surrogate"),
        pytest.param(b'{"uuid": "image-1", "name": "no UTF-8: \xff"}', "image-1", id="invalid UTF-8"),
        pytest.param(b'{"uuid": "image-1", "progress": NaN}', "image-1", id="not a number"),
        pytest.param(b'{"url": "https://ctl/api/image/image-1#\\ud800"}', "image-1", id="only a url"),
        pytest.param(b'{"uuid": "image-\\ud800"}', "image-?", id="in the uuid"),
        pytest.param(b'{"uuid": 1, "name": "\\ud800"}', "", id="no uuid to read"),
        pytest.param(b"NaN", "", id="no object"),
    ],
)
def test_invalid_text_makes_one_image_bad_and_no_other(spoilt: bytes, uuid: str) -> None:
    page = decode_page(b'{"count": 2, "results": [%s, {"uuid": "image-2", "name": "good \xc3\xa9"}]}' % spoilt)
    (first, bad), (second, good) = page.objects
    assert (page.count, first, second) == (2, uuid, "image-2")
    assert decode_image(good)[0].name == "good \xe9"
    with pytest.raises(BadObject):
        decode_image(bad)


def test_a_page_is_decoded_the_same_with_and_without_the_page_before() -> None:
    before = decode_page(b'{"results": [{"uuid": "a"}, {"uuid": "b"}, {"uuid": "c"}]}')
    body = b'{"results": [{"uuid": "a"}, {"uuid": "B"}, {"uuid": "c"}, {"uuid": "d"}]}'

    assert decode_page(body, before) == decode_page(body)


def test_every_field_of_an_active_image_is_decoded() -> None:
    (_, first), *_ = decode_page(PAGE).objects

    assert decode_image(first) == (
        Image(
            uuid="image-0d9c1f4e-6a55-4c0b-9c43-2f0f6f1f8a11",
            name="31.1.1-9122-20250213.101500",
            tenant="admin",
            type="system",
            version="31.1.1",
            state="in_progress",
            progress_ratio=0.5,
            tasks=6,
            tasks_completed=3,
            state_changed_at=1739443000.123456,
            started_at=1739442662.0,
            last_modified_at=1739443000.123456,
            events=(
                Event("Extract package", "10.0.0.11", "succeeded", "SYSERR_SUCCESS", 1739442665.0, 1739442760.0, 95.0),
                Event("Replicate to followers", "10.0.0.11", "running", "SYSERR_PENDING", 1739442990.0),
                Event(
                    "Replicate to followers",
                    "10.0.0.12",
                    "failed",
                    "SYSERR_RPC_FAILED",
                    1739442991.0,
                    1739443000.0,
                    9.0,
                    message="connection reset",
                ),
            ),
        ),
        (),
    )


def test_an_image_of_an_old_release_has_few_fields() -> None:
    _, (_, second), _ = decode_page(PAGE).objects

    assert decode_image(second) == (
        Image(
            uuid="image-5b1f8f0e-0d55-4f9d-8a53-0d7a7f3b2c22",
            name="22.1.6-8143-20240115.080016",
            tenant="admin",
            type="patch",
            version="22.1.6",
            patch="2p4",
            last_modified_at=1705305616.0,
        ),
        (),
    )


def test_one_bad_image_does_not_affect_the_others() -> None:
    uuids = [uuid for uuid, _ in decode_page(PAGE).objects]

    assert uuids == [
        "image-0d9c1f4e-6a55-4c0b-9c43-2f0f6f1f8a11",
        "image-5b1f8f0e-0d55-4f9d-8a53-0d7a7f3b2c22",
        "image-77777777-0000-4000-8000-000000000003",
    ]


def test_a_bad_image_is_named_by_the_path_of_its_first_wrong_value() -> None:
    *_, (_, third) = decode_page(PAGE).objects

    with pytest.raises(BadObject, match=r"Expected `float \| str \| null`, got `object` - at `\$.progress`"):
        decode_image(third)


# --- pages


def test_a_page_keeps_its_body_and_its_count() -> None:
    page = decode_page(PAGE)

    assert (page.body, page.count) == (PAGE, 3)


def test_a_page_without_a_count_has_none() -> None:
    assert decode_page(b'{"results": []}') == Page(b'{"results": []}', None, ())


def test_the_count_of_a_page_may_be_text() -> None:
    assert decode_page(b'{"results": [], "count": "3"}').count == 3


def test_the_next_page_is_not_read() -> None:
    assert decode_page(b'{"count": 0, "results": [], "next": {"not": "a url"}}').objects == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "Input data was truncated", id="nothing"),
        pytest.param(b"<html>502</html>", "malformed", id="html"),
        pytest.param(b'{"results": [{"uuid": "u1"', "truncated", id="cut short"),
        pytest.param(b'{"results": []} {}', "trailing", id="more than one document"),
        pytest.param(b"{}", "missing required field `results`", id="no results"),
        pytest.param(b'{"results": null}', r"\$.results", id="null for results"),
        pytest.param(b'{"results": [], "count": "three"}', r"\$.count", id="a word for count"),
        pytest.param(b'{"results": [], "count": "%s"}' % (b"9" * 300), r"\$.count", id="a long text for count"),
        pytest.param(b'{"results": [], "count": true}', r"\$.count", id="bool for count"),
        pytest.param(b'{"results": [], "count": 1e400}', r"\$.count", id="infinite count"),
        pytest.param(b'{"results": [], "count": %s}' % (b"9" * 5000), r"\$.count", id="huge count"),
        pytest.param(b"[]", "Expected `object`, got `array`", id="array"),
        pytest.param(b'{"results": [%s%s]}' % (b"[" * 100_000, b"]" * 100_000), "recursion", id="deep nesting"),
    ],
)
def test_a_body_that_is_no_page_is_a_bad_answer_with_the_reason(body: bytes, message: str) -> None:
    with pytest.raises(BadAnswer, match=message) as caught:
        decode_page(body)

    assert caught.value.reason == "decode"


@pytest.mark.parametrize(
    ("image", "uuid"),
    [
        pytest.param({"uuid": "u1", "url": "https://c/api/image/u2"}, "u1", id="its uuid"),
        pytest.param({"url": "https://c/api/image/u2"}, "u2", id="else the last segment of its url"),
        pytest.param({"uuid": "", "url": "https://c/api/image/u2"}, "u2", id="else of its url, if empty"),
        pytest.param({"uuid": None, "url": "/api/image/u2#name/with#signs"}, "u2", id="without the name behind it"),
        pytest.param({"name": "31.1.1"}, "", id="else nothing"),
        pytest.param({"uuid": 5}, "", id="nothing when of a wrong type"),
        pytest.param([], "", id="nothing when not an object"),
        pytest.param({"uuid": "x" * 300}, "x" * 200, id="clipped"),
    ],
)
def test_an_image_is_identified_by(image: object, uuid: str) -> None:
    page = decode_page(json.dumps({"results": [image]}).encode())

    assert [name for name, _ in page.objects] == [uuid]


# --- listings


def page_of(*uuids: str, count: int | None) -> Page:
    results = [{"uuid": uuid} if uuid else {} for uuid in uuids]
    return decode_page(json.dumps({"results": results, "count": count}).encode())


def test_pages_that_fit_together_become_one_list_in_order() -> None:
    pages = (page_of("u2", "u1", count=3), page_of("u3", count=3))
    listing = assemble(pages)

    assert listing is not None
    assert (listing.pages, list(listing.raws), listing.unidentified) == (pages, ["u2", "u1", "u3"], 0)


def test_a_list_has_the_bytes_of_each_image() -> None:
    listing = assemble([page_of("u1", "u2", count=2)])

    assert listing is not None
    assert bytes(listing.raws["u2"]) == b'{"uuid": "u2"}'


def test_unidentified_images_are_counted() -> None:
    listing = assemble([page_of("u1", "", "", count=3)])

    assert listing is not None
    assert (list(listing.raws), listing.unidentified) == (["u1"], 2)


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([page_of("u1", count=1)], id="one page"),
        pytest.param([page_of(count=0)], id="an empty page"),
        pytest.param([page_of("u1", count=None)], id="no count at all"),
        pytest.param([page_of("u1", "u2", "u1", count=2)], id="one image twice, counted once"),
        pytest.param([page_of("u1", "u2", count=3), page_of("u2", "u3", count=3)], id="an image moved a page"),
    ],
)
def test_a_list_is_complete(pages: list[Page]) -> None:
    assert assemble(pages) is not None


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([], id="no page"),
        pytest.param([page_of("u1", count=2)], id="an image is missing"),
        pytest.param([page_of("u1", "u2", count=1)], id="an image too many"),
        pytest.param([page_of("u1", count=2), page_of("u2", count=3)], id="the count moved"),
        pytest.param([page_of("u1", count=2), page_of("u2", count=None)], id="the count went away"),
        pytest.param([page_of("u1", "u2", count=3), page_of("u2", count=3)], id="one came twice, one not at all"),
        pytest.param([page_of("u1", "u1", count=None)], id="one came twice, no count"),
    ],
)
def test_a_list_is_incomplete(pages: list[Page]) -> None:
    assert assemble(pages) is None


@pytest.mark.parametrize(
    ("first", "second", "repeated"),
    [
        pytest.param([page_of("u1", "u1", count=2)], [page_of("u1", "u1", count=2)], 1, id="nothing else"),
        pytest.param([page_of("u1", "u2", "u1", count=3)], [page_of("u2", "u1", "u1", count=3)], 1, id="another order"),
        pytest.param(
            [page_of("u1", "u2", count=3), page_of("u2", count=3)],
            [page_of("u1", "u2", count=3), page_of("u2", count=3)],
            1,
            id="on two pages",
        ),
        pytest.param([page_of("", "u1", "u1", count=3)], [page_of("", "u1", "u1", count=3)], 1, id="one unidentified"),
        pytest.param([page_of("u1", "u1", "u1", count=3)], [page_of("u1", "u1", "u1", count=3)], 2, id="three times"),
        pytest.param([page_of("u1", "u1", count=None)], [page_of("u1", "u1", count=None)], 1, id="no count at all"),
    ],
)
def test_images_that_are_listed_and_counted_twice_in_two_reads_are_taken_once(
    first: list[Page], second: list[Page], repeated: int
) -> None:
    listing = assemble_repeated(first, second)

    assert assemble(first) is None
    assert listing is not None
    assert (listing.pages, listing.repeated) == (tuple(second), repeated)
    assert len(listing.raws) + listing.unidentified + repeated == sum(len(page.objects) for page in second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([page_of(count=7)], [page_of(count=7)], id="a count without an image"),
        pytest.param([page_of("u1", "u1", count=3)], [page_of("u1", "u1", count=3)], id="fewer than the count"),
        pytest.param([page_of("u1", "u1", count=2)], [page_of("u2", "u2", count=2)], id="other images"),
        pytest.param([page_of("u1", "u1", count=2)], [page_of("u1", "u1", "u1", count=3)], id="another count"),
        pytest.param([page_of("u1", "u2", count=3)], [page_of("u1", "u2", "u1", count=3)], id="fewer the first time"),
        pytest.param([page_of("u1", "u1", count=2)], [page_of("u1", "u1", count=None)], id="a count once"),
        pytest.param(
            [page_of("u1", count=2), page_of("u1", count=2)],
            [page_of("u1", count=2), page_of("u1", count=2)],
            id="one page instead of all",
        ),
    ],
)
def test_two_reads_are_incomplete(first: list[Page], second: list[Page]) -> None:
    assert assemble_repeated(first, second) is None


def test_a_list_says_what_is_left_out_of_it() -> None:
    whole, part = assemble([page_of("u1", count=1)]), assemble_repeated(*[[page_of("", "u1", "u1", count=3)]] * 2)

    assert whole is not None
    assert part is not None
    assert (whole.left_out, list(part.left_out.values())) == ({}, [1, 1])


# --- fields of an image


def test_an_image_may_have_nothing_but_a_uuid() -> None:
    assert decode_image(raw()) == (Image(uuid="u1"), ())


def test_null_is_absent_everywhere() -> None:
    seed = json.loads(SEED)

    assert decode_image(raw(**dict.fromkeys(seed.keys() - {"uuid"}))) == (Image(uuid="u1"), ())


def test_null_is_absent_inside_events_too() -> None:
    events = [
        {"task_name": None, "nodes_events": [dict.fromkeys(node_event(status=1, duration=1))], "sub_events": None}
    ]

    assert image_of(events=events).events == (Event("unknown", "unknown", "pending", ""),)


def test_an_image_without_uuid_and_url_is_bad() -> None:
    with pytest.raises(BadObject, match="neither `uuid` nor `url`"):
        decode_image(msgspec.Raw(b'{"name": "31.1.1"}'))


def test_no_text_of_more_than_forty_characters_is_kept_as_a_time() -> None:
    _seconds.cache_clear()
    for number in range(10):
        assert parse_time(f"2025-02-13 10:31:05.{number:021}", []) is None
    assert _seconds.cache_info().currsize == 0


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"1e999", id="beyond a float"),
        pytest.param(b"-1e999", id="below a float"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-Infinity", id="infinity"),
        pytest.param(b"9" * 5000, id="beyond an integer"),
        pytest.param(rb'"\ud800"', id="half a pair of surrogates"),
    ],
)
def test_an_image_that_a_strict_reader_would_refuse_is_bad_though_the_field_is_not_read(value: bytes) -> None:
    """It is served on as it came, in one document with all others."""
    with pytest.raises(BadObject):
        decode_image(msgspec.Raw(b'{"uuid": "u1", "ignored": {"deep": [%s]}}' % value))


@pytest.mark.parametrize("field", [b'"name"', b'"ignored"', b'"\xfe"'], ids=["read", "not-read", "in-a-key"])
def test_an_image_that_is_not_utf8_is_bad_in_any_field(field: bytes) -> None:
    """It is served on as it came, in one document with all others."""
    with pytest.raises(BadObject):
        decode_image(msgspec.Raw(b'{"uuid": "u1", %s: "\xff"}' % field))


@pytest.mark.parametrize(
    ("wire", "state", "unknown"),
    [
        ("IMAGE_FSM_STARTED", "started", ()),
        ("IMAGE_FSM_IN_PROGRESS", "in_progress", ()),
        ("IMAGE_FSM_COMPLETED", "completed", ()),
        ("IMAGE_FSM_FAILED", "failed", ()),
        ("IMAGE_FSM_UNKNOWN", "unknown", ("img_state",)),
        ("IMAGE_FSM_PAUSED", "unknown", ("img_state",)),
        ("", "unknown", ()),
        (None, "unknown", ()),
    ],
)
def test_the_state_of_an_image(wire: str | None, state: ImageState, unknown: tuple[str, ...]) -> None:
    image, counted = decode_image(raw(img_state={"state": wire}))

    assert (image.state, counted) == (state, unknown)


@pytest.mark.parametrize(
    ("wire", "kind", "unknown"),
    [
        ("IMAGE_TYPE_SYSTEM", "system", ()),
        ("IMAGE_TYPE_PATCH", "patch", ()),
        ("IMAGE_TYPE_MUST_CHECK", "must_check", ()),
        ("IMAGE_TYPE_OF_TOMORROW", "IMAGE_TYPE_OF_TOMORROW", ("type",)),
        (None, "", ()),
    ],
)
def test_the_type_of_an_image(wire: str | None, kind: str, unknown: tuple[str, ...]) -> None:
    image, counted = decode_image(raw(type=wire))

    assert (image.type, counted) == (kind, unknown)


@pytest.mark.parametrize(
    ("percent", "ratio", "unknown"),
    [
        pytest.param(0, 0.0, (), id="zero is a progress"),
        pytest.param(37, 0.37, (), id="percent in, ratio out"),
        pytest.param(99.5, 0.995, (), id="fractions"),
        pytest.param("37", 0.37, (), id="as text"),
        pytest.param("", None, (), id="empty"),
        pytest.param("half", None, ("progress",), id="a word"),
        pytest.param("nan", None, ("progress",), id="not a number"),
        pytest.param("0" * 41, None, ("progress",), id="a longer text than a number has"),
        pytest.param(100, 1.0, (), id="all"),
        pytest.param(101, None, ("progress",), id="more than all"),
        pytest.param(-1, None, ("progress",), id="less than nothing"),
        pytest.param(None, None, (), id="absent"),
    ],
)
def test_the_progress_of_an_image(percent: float | str | None, ratio: float | None, unknown: tuple[str, ...]) -> None:
    image, counted = decode_image(raw(progress=percent))

    assert (image.progress_ratio, counted) == (ratio, unknown)


@pytest.mark.parametrize(
    ("number", "tasks", "unknown"),
    [
        pytest.param(0, 0, (), id="none"),
        pytest.param(6, 6, (), id="some"),
        pytest.param(6.0, 6, (), id="written as a float"),
        pytest.param("6", 6, (), id="written as text"),
        pytest.param("six", None, ("tasks",), id="a word"),
        pytest.param(2**31 - 1, 2**31 - 1, (), id="the most"),
        pytest.param(2**31, None, ("tasks",), id="more than the most"),
        pytest.param(-1, None, ("tasks",), id="less than none"),
        pytest.param(1.5, None, ("tasks",), id="one and a half"),
        pytest.param(None, None, (), id="absent"),
    ],
)
def test_the_number_of_tasks(number: float | str | None, tasks: int | None, unknown: tuple[str, ...]) -> None:
    image, counted = decode_image(raw(total_tasks=number))

    assert (image.tasks, counted) == (tasks, unknown)


def test_tasks_and_completed_tasks_are_separate_fields() -> None:
    image = image_of(total_tasks=6, tasks_completed=3)

    assert (image.tasks, image.tasks_completed) == (6, 3)


@pytest.mark.parametrize(
    ("duration", "seconds", "unknown"),
    [
        pytest.param(0, 0.0, (), id="zero is a duration"),
        pytest.param(95, 95.0, (), id="some"),
        pytest.param("95.5", 95.5, (), id="as text"),
        pytest.param("long", None, ("duration",), id="a word"),
        pytest.param(2**32, None, ("duration",), id="more than the wire can say"),
        pytest.param(-1, None, ("duration",), id="negative"),
        pytest.param(None, None, (), id="absent"),
    ],
)
def test_the_duration_of_an_image(
    duration: float | str | None, seconds: float | None, unknown: tuple[str, ...]
) -> None:
    image, counted = decode_image(raw(duration=duration))

    assert (image.duration_s, counted) == (seconds, unknown)


@pytest.mark.parametrize(
    ("ref", "tenant"),
    [
        pytest.param("https://c/api/tenant/admin", "admin", id="url"),
        pytest.param("https://c/api/tenant/tenant-1#team-a", "team-a", id="url and name"),
        pytest.param("https://c/api/tenant/tenant-1#team/a", "team/a", id="url and a name with a slash"),
        pytest.param("https://c/api/tenant/tenant-1#", "tenant-1", id="url and no name"),
        pytest.param("admin", "admin", id="bare"),
        pytest.param(None, "", id="absent"),
    ],
)
def test_the_tenant_of_an_image(ref: str | None, tenant: str) -> None:
    assert image_of(tenant_ref=ref).tenant == tenant


@pytest.mark.parametrize(
    ("packages", "version", "patch"),
    [
        pytest.param(
            {
                "controller_info": {"build": {"version": "31.1.1", "patch_version": "2p1"}},
                "se_info": {"build": {"version": "30.2.1", "patch_version": "1p1"}},
            },
            "31.1.1",
            "2p1",
            id="the Controller's comes first",
        ),
        pytest.param({"se_info": {"build": {"version": "30.2.1"}}}, "30.2.1", "", id="else the Service Engine's"),
        pytest.param(
            {
                "controller_info": {"build": {"version": "31.1.1"}},
                "se_info": {"build": {"version": "30.2.1", "patch_version": "1p1"}},
            },
            "31.1.1",
            "1p1",
            id="each where it is given",
        ),
        pytest.param({"controller_info": {"build": None}, "se_info": {}}, "", "", id="no build"),
        pytest.param({}, "", "", id="no package"),
    ],
)
def test_the_version_of_an_image(packages: dict[str, object], version: str, patch: str) -> None:
    image = image_of(**packages)

    assert (image.version, image.patch) == (version, patch)


def test_an_uber_bundle_is_decoded() -> None:
    assert image_of(uber_bundle=True).uber_bundle


@pytest.mark.parametrize(
    ("written", "at"),
    [
        pytest.param("1739443000123456", 1739443000.123456, id="microseconds as text"),
        pytest.param(1739443000123456, 1739443000.123456, id="microseconds as a number"),
        pytest.param("0", None, id="zero is never"),
        pytest.param(0, None, id="zero as a number is never"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_when_an_image_was_modified(written: object, at: float | None) -> None:
    assert decode_image(raw(_last_modified=written)) == (Image(uuid="u1", last_modified_at=at), ())


@pytest.mark.parametrize("written", ["string", "-1", -1, "nan", "inf", "1e400", 1e308, "9" * 5000, 253402300800000000])
def test_an_invalid_modification_time_is_counted_and_left_out(written: object) -> None:
    assert decode_image(raw(_last_modified=written)) == (Image(uuid="u1"), ("time",))


@pytest.mark.parametrize(
    ("stamp", "at", "unknown"),
    [
        pytest.param({"secs": 1739443000, "usecs": 250000}, 1739443000.25, (), id="seconds and microseconds"),
        pytest.param({"secs": 1739443000}, 1739443000.0, (), id="seconds alone"),
        pytest.param({"secs": 1739443000, "usecs": 999999}, 1739443000.999999, (), id="the most microseconds"),
        pytest.param({"secs": 1739443000, "usecs": 250000000}, 1739443000.25, (), id="nanoseconds"),
        pytest.param({"secs": "1637183048", "usecs": "104598180"}, 1637183048.10459818, (), id="as text, nanoseconds"),
        pytest.param({"secs": 1739443000, "usecs": 1e9}, None, ("time",), id="a second of nanoseconds"),
        pytest.param({"secs": 1739443000, "usecs": -1}, None, ("time",), id="a negative fraction"),
        pytest.param({"secs": "soon", "usecs": "later"}, None, ("time",), id="words"),
        pytest.param({"secs": 0, "usecs": 0}, None, (), id="zero is never"),
        pytest.param({"usecs": 5}, None, (), id="no seconds"),
        pytest.param(None, None, (), id="absent"),
        pytest.param({"secs": -62135596800}, None, ("time",), id="long before 1970"),
        pytest.param({"secs": 1e308, "usecs": 1e308}, None, ("time",), id="after the end of time"),
    ],
)
def test_when_the_state_changed(stamp: object, at: float | None, unknown: tuple[str, ...]) -> None:
    image, counted = decode_image(raw(img_state={"last_changed_time": stamp}))

    assert (image.state_changed_at, counted) == (at, unknown)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("2025-02-13 10:31:05", STARTED_AT, id="blank, UTC implied"),
        pytest.param("2025-02-13 10:31:05 UTC", STARTED_AT, id="blank, UTC named"),
        pytest.param("2025-02-13T10:31:05", STARTED_AT, id="ISO, UTC implied"),
        pytest.param("2025-02-13T10:31:05Z", STARTED_AT, id="ISO, Z"),
        pytest.param("2025-02-13T12:31:05+02:00", STARTED_AT, id="ISO, offset"),
        pytest.param("2025-02-13T10:31:05.250Z", STARTED_AT + 0.25, id="ISO, milliseconds"),
        pytest.param("2025-02-13 10:31:05.000250", STARTED_AT + 0.00025, id="blank, microseconds"),
        pytest.param("1739442665000000", STARTED_AT, id="microseconds as digits"),
        pytest.param(1739442665000000.0, STARTED_AT, id="microseconds as a number"),
        pytest.param("0", None, id="zero is never"),
        pytest.param("1970-01-01 00:00:00", None, id="zero written out is never"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_a_time_is_decoded(text: float | str | None, at: float | None) -> None:
    unknown: list[str] = []

    assert (parse_time(text, unknown), unknown) == (at, [])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("string", id="no time"),
        pytest.param("2025-02-30 10:31:05", id="no such day"),
        pytest.param("13/02/2025 10:31", id="another order"),
        pytest.param("0001-01-01T00:00:00Z", id="before 1970"),
        pytest.param("9999-12-31T23:59:59-23:59", id="after the end of time"),
        pytest.param("9" * 5000, id="too many digits"),
        pytest.param("2025-02-13 10:31:05." + "0" * 21, id="longer than any time"),
        pytest.param("-5", id="negative"),
        pytest.param("2025-02-13 \ud800", id="a lone surrogate"),
    ],
)
def test_an_invalid_time_is_counted_and_left_out(text: str) -> None:
    unknown: list[str] = []

    assert (parse_time(text, unknown), unknown) == (None, ["time"])


@pytest.mark.parametrize(
    ("field", "attribute"),
    [("name", "name"), ("tenant_ref", "tenant"), ("type", "type"), ("uuid", "uuid")],
)
def test_a_label_is_clipped(field: str, attribute: str) -> None:
    assert getattr(image_of(**{field: "é" * 300}), attribute) == "é" * 200


def test_an_image_counts_each_unknown_value_once() -> None:
    counted = unknown_of(
        type="NEW", img_state={"state": "NEW"}, progress=200, total_tasks=-1, tasks_completed=-1, start_time="soon"
    )

    assert sorted(counted) == ["img_state", "progress", "tasks", "tasks", "time", "type"]


# --- events


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        pytest.param({"status": "SYSERR_SUCCESS"}, "succeeded", id="success"),
        pytest.param({"status": "SYSERR_SUCCESS", "start_time": START}, "succeeded", id="success without an end"),
        pytest.param({}, "pending", id="no fields"),
        pytest.param({"status": "SYSERR_PENDING"}, "pending", id="pending, not begun"),
        pytest.param({"status": "SYSERR_TRY_AGAIN"}, "pending", id="to be tried again, not begun"),
        pytest.param({"start_time": START}, "running", id="begun, no status"),
        pytest.param({"status": "SYSERR_PENDING", "start_time": START}, "running", id="pending, begun"),
        pytest.param({"status": "SYSERR_TRY_AGAIN", "start_time": START}, "running", id="to be tried again, begun"),
        pytest.param({"start_time": START, "end_time": END}, "pending", id="ended without a status"),
        pytest.param({"start_time": "at tea time"}, "running", id="begun at a time of unknown format"),
        pytest.param({"start_time": START, "end_time": "later"}, "pending", id="ended at a time of unknown format"),
        pytest.param({"status": "SYSERR_RPC_FAILED"}, "failed", id="anything else"),
        pytest.param({"status": "ok"}, "failed", id="anything else, even this"),
    ],
)
def test_the_state_of_an_event(fields: dict[str, object], state: EventState) -> None:
    assert event_of(**fields).state == state


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        pytest.param("SYSERR_MC_DISK_2", "SYSERR_MC_DISK_2", id="letters, digits, underscores"),
        pytest.param("S" * 64, "S" * 64, id="64 of them"),
        pytest.param("S" * 65, "other", id="65 of them"),
        pytest.param("syserr_io", "other", id="lower case"),
        pytest.param("SYSERR_IO\n", "other", id="a newline behind"),
        pytest.param('"} 1', "other", id="an attempt"),
        pytest.param("", "", id="empty"),
        pytest.param(None, "", id="absent"),
    ],
)
def test_the_status_of_an_event(wire: str | None, status: str) -> None:
    assert event_of(status=wire).status == status


def test_an_event_has_its_times() -> None:
    event = event_of(start_time=START, end_time=END, duration=95, status="SYSERR_SUCCESS")

    assert (event.started_at, event.ended_at, event.duration_s) == (STARTED_AT, ENDED_AT, 95.0)


@pytest.mark.parametrize(
    ("events", "key"),
    [
        pytest.param({"nodes_events": [node_event()]}, ("unknown", "10.0.0.11"), id="no task name"),
        pytest.param({"task_name": "", "nodes_events": [node_event()]}, ("unknown", "10.0.0.11"), id="an empty one"),
        pytest.param({"task_name": "T", "nodes_events": [{}]}, ("T", "unknown"), id="no ip"),
        pytest.param({"task_name": "T", "nodes_events": [{"ip": {}}]}, ("T", "unknown"), id="no address"),
        pytest.param({"task_name": "T", "sub_events": [node_event()]}, ("T", "10.0.0.11"), id="a sub event"),
        pytest.param(
            {"task_name": "T" * 300, "sub_events": [node_event()]}, ("T" * 200, "10.0.0.11"), id="a long name"
        ),
        pytest.param({"task_name": "T", "sub_events": [at("n" * 300)]}, ("T", "n" * 200), id="a long address"),
    ],
)
def test_an_event_is_keyed_by_task_and_node(events: dict[str, object], key: tuple[str, str]) -> None:
    assert [(event.task, event.node) for event in image_of(events=[events]).events] == [key]


def test_a_task_without_events_is_no_event() -> None:
    assert image_of(events=[{"task_name": "Extract"}]).events == ()


def test_events_keep_the_order_of_the_controller() -> None:
    events = [
        {"task_name": "B", "nodes_events": [at("n2"), at("n1")]},
        {"task_name": "A", "nodes_events": [at("n1")]},
    ]

    assert [(event.task, event.node) for event in image_of(events=events).events] == [
        ("B", "n2"),
        ("B", "n1"),
        ("A", "n1"),
    ]


SUCCEEDED, FAILED, PENDING = ({"status": f"SYSERR_{name}"} for name in ("SUCCESS", "IO", "PENDING"))
EARLY, LATE = {"start_time": START}, {"start_time": END}


@pytest.mark.parametrize("turned", [False, True], ids=["in-order", "reversed"])
@pytest.mark.parametrize(
    ("loser", "winner", "state"),
    [
        pytest.param(FAILED | EARLY, SUCCEEDED | LATE, "succeeded", id="the one that started last"),
        pytest.param(FAILED, PENDING | EARLY, "running", id="one that started over one that did not"),
        pytest.param(PENDING | EARLY, FAILED | EARLY, "failed", id="failed over running"),
        pytest.param(PENDING | EARLY | {"end_time": END}, PENDING | EARLY, "running", id="running over pending"),
        pytest.param(SUCCEEDED, PENDING, "pending", id="pending over succeeded"),
        pytest.param(SUCCEEDED, FAILED, "failed", id="failed over succeeded"),
        pytest.param(
            FAILED | {"start_time": "0001-01-01T00:00:00Z"}, SUCCEEDED | EARLY, "succeeded", id="any real time"
        ),
    ],
)
def test_the_winner_among_events_of_one_key_is(
    loser: dict[str, object], winner: dict[str, object], state: EventState, *, turned: bool
) -> None:
    pair = [node_event(**winner), node_event(**loser)] if turned else [node_event(**loser), node_event(**winner)]

    assert [e.state for e in image_of(events=[{"task_name": "T", "nodes_events": pair}]).events] == [state]


def test_one_key_is_one_event_over_nodes_events_sub_events_and_repeated_tasks() -> None:
    events = [
        {"task_name": "T", "nodes_events": [node_event()], "sub_events": [node_event(**SUCCEEDED)]},
        {"task_name": "T", "nodes_events": [node_event(**FAILED)]},
    ]

    assert [event.state for event in image_of(events=events).events] == ["failed"]


@BOUNDED
@given(event_maps)
def test_no_image_has_two_events_of_one_task_and_node(tasks: list[object]) -> None:
    keys = [(event.task, event.node) for event in image_of(events=tasks).events]

    assert len(keys) == len(set(keys))


@BOUNDED
@given(event_maps.flatmap(lambda maps: st.tuples(st.just(maps), st.permutations(maps))))
def test_which_event_wins_does_not_depend_on_the_order(pair: tuple[list[object], list[object]]) -> None:
    given_order, shuffled = (
        {(e.task, e.node, e.state, e.started_at) for e in image_of(events=each).events} for each in pair
    )

    assert shuffled == given_order


# --- anything at all


def page_or_message(body: bytes) -> Page | str:
    try:
        return decode_page(body)
    except BadAnswer as error:
        return error.detail


def image_or_message(body: msgspec.Raw) -> Image | str:
    try:
        image, unknown = decode_image(body)
    except BadObject as error:
        return str(error)
    assert set(unknown) <= set(UNKNOWN_FIELDS)
    return image


def is_valid(image: Image) -> bool:
    """Whether it can be rendered: it has a name, its texts are UTF-8, its numbers are numbers."""
    msgspec.json.encode(image)  # raises on a lone surrogate
    fields = [field for noun in (image, *image.events) for field in msgspec.structs.astuple(noun)]
    return bool(image.uuid) and all(isfinite(field) for field in fields if isinstance(field, float))


@BOUNDED
@given(st.binary(max_size=60) | json_values.map(dumps) | st.binary(max_size=20).map(lambda b: b'{"results": [' + b))
def test_any_bytes_are_a_page_or_a_bad_answer_with_a_short_message(body: bytes) -> None:
    found = page_or_message(body)

    assert found.body is body if isinstance(found, Page) else 0 < len(found) <= 200


@BOUNDED
@given(st.integers(0, len(PAGE)), st.integers(0, 40), st.binary(max_size=8))
def test_a_damaged_page_has_only_valid_and_bad_images(at: int, cut: int, patch: bytes) -> None:
    page = page_or_message(PAGE[:at] + patch + PAGE[at + cut :])
    found = [image_or_message(raw_image) for _, raw_image in page.objects] if isinstance(page, Page) else []

    assert all(is_valid(image) if isinstance(image, Image) else image for image in found)


@BOUNDED
@given(json_values.map(dumps) | json_values.map(lambda value: dumps({"uuid": "u1", "events": value})))
@example(b"[" * 200_000 + b"]" * 200_000)
@example(b'{"uuid": "u1", "events": %s%s}' % (b"[" * 200_000, b"]" * 200_000))
@example(b'{"uuid": "u1", "ignored": %s%s}' % (b'{"a":' * 200_000 + b"1", b"}" * 200_000))
@example(rb'{"uuid": "\ud800"}')
@example(rb'{"uuid": "u1", "name": "\udc00\ud800 and more"}')
@example(b'{"uuid": "\xff"}')
@example(b'{"uuid": "u1", "ignored": "\xed\xa0\x80"}')
@example(b'{"uuid": "u1", "\xff": 1}')
@example(b'{"uuid": "u1", "progress": 1e400}')
@example(b'{"uuid": "u1", "total_tasks": 1%s}' % (b"0" * 400))
@example(b'{"uuid": "u1", "_last_modified": -1%s}' % (b"0" * 5000))
@example(b'{"uuid": "u1", "ignored": 1%s}' % (b"0" * 5000))
@example(b'{"uuid": "u1", "progress": NaN}')
@example(b'{"uuid": "u1", "tasks_completed": true}')
@example(b'{"uuid": "u1", "uber_bundle": 1}')
@example(b'{"uuid": "u1", "events": [null]}')
@example(b"")
def test_any_json_is_a_valid_image_or_a_bad_image_with_a_short_message(body: bytes) -> None:
    found = image_or_message(msgspec.Raw(body))

    assert is_valid(found) if isinstance(found, Image) else 0 < len(found) <= 200


@BOUNDED
@given(images)
def test_an_image_with_the_right_types_is_never_bad(fields: dict[str, object]) -> None:
    image, _ = decode_image(raw(**fields))

    assert image.uuid == "u1"


@FEW
@given(st.binary(max_size=60) | json_values.map(dumps))
@example(b"[" * 200_000)
@example(b'{"version": {"version": "%s"}}' % (b"x" * 300))
@example(b'{"error": "%s"}' % (b"x" * 300))
def test_any_bytes_have_a_short_message_or_none(body: bytes) -> None:
    words = decode_error(body), decode_version(body), decode_session_cookie_name(body)

    assert all(len(text) <= 200 for text in words)


# --- other answers


@pytest.mark.parametrize(
    ("body", "version"),
    [
        pytest.param(b'{"version": {"Version": "30.2.1", "build": 9000}}', "30.2.1", id="log-in of older releases"),
        pytest.param(b'{"version": {"version": "31.1.1"}}', "31.1.1", id="newer releases"),
        pytest.param(b'{"version": null}', "", id="null"),
        pytest.param(b"{}", "", id="without a session"),
        pytest.param(b'{"version": "31.1.1"}', "", id="another shape"),
        pytest.param(b"<html>", "", id="html"),
        pytest.param(b'{"version": {"version": "%s"}}' % (b"1" * 300), "1" * 200, id="clipped"),
    ],
)
def test_the_version_of_a_controller(body: bytes, version: str) -> None:
    assert decode_version(body) == version


@pytest.mark.parametrize(
    ("body", "name"),
    [
        pytest.param(b'{"session_cookie_name": "avi-sessionid"}', "avi-sessionid", id="named"),
        pytest.param(b"{}", "", id="not named"),
        pytest.param(b"nonsense", "", id="unreadable"),
    ],
)
def test_the_name_of_the_session_cookie(body: bytes, name: str) -> None:
    assert decode_session_cookie_name(body) == name


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"error": "Invalid credentials"}', "Invalid credentials", id="the error member"),
        pytest.param(b'{"error": "%s"}' % (b"x" * 300), "x" * 200, id="clipped"),
        pytest.param(b"CSRF Failed\n", "CSRF Failed", id="plain text"),
        pytest.param(b"x" * 300, "x" * 200, id="plain text, clipped"),
        pytest.param(b"caf\xff", "caf�", id="plain text, not UTF-8"),
        pytest.param(b"\n <html><body>502</body></html>", "", id="html"),
        pytest.param(b'{"detail": "no"}', "", id="JSON without an error"),
        pytest.param(b'["no"]', "", id="a JSON array"),
        pytest.param(b'{"error": {"code": 5}}', "", id="an error that is no text"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_the_message_of_an_error(body: bytes, words: str) -> None:
    assert decode_error(body) == words


@pytest.mark.parametrize(
    ("controller", "asked"),
    [
        pytest.param("30.2.1", "30.2.1", id="its own"),
        pytest.param("9.9.9", "9.9.9", id="its own, compared as numbers"),
        pytest.param(HIGHEST_VERSION, HIGHEST_VERSION, id="the highest we know"),
        pytest.param("99.1.1", HIGHEST_VERSION, id="none above it"),
        pytest.param("20.1.4(9087) 2021-02-15 20:20:12 UTC", "20.1.4", id="without what follows"),
        pytest.param("", HIGHEST_VERSION, id="when it names none"),
        pytest.param("eng", HIGHEST_VERSION, id="when it is unreadable"),
    ],
)
def test_the_api_version_for_a_controller_version(controller: str, asked: str) -> None:
    assert api_version_for(controller) == asked


@pytest.mark.parametrize(
    ("version", "key"),
    [
        ("30.2.1", (30, 2, 1)),
        ("30", (30,)),
        ("31.1.1-9122", (31, 1, 1)),
        ("v30", ()),
        ("", ()),
        ("9" * 5000, (999999999,)),
    ],
    ids=["three", "one", "more behind", "no number in front", "empty", "endless"],
)
def test_a_version_is_compared_by_its_numbers(version: str, key: tuple[int, ...]) -> None:
    assert version_key(version) == key


def test_a_page_with_more_images_than_the_page_size_is_a_bad_answer() -> None:
    with pytest.raises(BadAnswer, match="Expected `array` of at most length 200"):
        decode_page(msgspec.json.encode({"count": 201, "results": [{"uuid": f"image-{n}"} for n in range(201)]}))


def test_one_bad_character_on_a_large_page_is_one_bad_image() -> None:
    good = b'{"uuid": "image-2", "name": "%s"}' % (b"x" * 2**20)
    page = decode_page(b'{"count": 2, "results": [{"uuid": "image-1", "name": "\\ud800"}, %s]}' % good)
    assert [uuid for uuid, _ in page.objects] == ["image-1", "image-2"]
    assert bytes(page.objects[1][1]) == good


def test_a_page_that_is_too_large_to_look_for_invalid_text_is_a_bad_answer() -> None:
    spoilt = b'{"count": 1, "results": [{"uuid": "image-1", "name": "%s\\ud800"}]}' % (b"x" * 2**21)
    with pytest.raises(BadAnswer):
        decode_page(spoilt)


def test_an_object_of_more_than_a_mebibyte_is_bad_and_known_by_its_uuid() -> None:
    large = b'{"uuid": "image-1", "name": "%s"}' % (b"x" * 2**20)
    ((uuid, raw_image),) = decode_page(b'{"results": [%s]}' % large).objects
    assert uuid == "image-1"
    with pytest.raises(BadObject, match=f"the object has {len(large)} bytes, expected at most 1048576"):
        decode_image(raw_image)


def test_an_object_of_more_than_a_mebibyte_with_invalid_text_has_no_uuid() -> None:
    large = b'{"uuid": "image-\xff", "name": "%s"}' % (b"x" * 2**20)
    assert [uuid for uuid, _ in decode_page(b'{"results": [%s]}' % large).objects] == [""]


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param([{"task_name": f"task {n}", "nodes_events": [{}]} for n in range(5_001)], id="tasks"),
        pytest.param([{"nodes_events": [{"ip": {"addr": f"node {n}"}} for n in range(5_001)]}], id="nodes"),
        pytest.param([{"sub_events": [{}] * 10_001}], id="one-node"),
    ],
)
def test_an_image_with_more_events_than_any_budget_exports_is_shown_without_them(flood: list[object]) -> None:
    assert decode_image(raw(events=flood, progress=50)) == (Image(uuid="u1", progress_ratio=0.5), ("events",))
    assert decode_spans(raw(events=flood)) == ()


def test_an_object_of_more_lists_and_objects_than_any_image_has_is_bad() -> None:
    with pytest.raises(BadObject, match="the object has 20001 JSON objects and lists, expected at most 20000"):
        decode_image(raw(of_tomorrow=[[]] * 19_999))
    assert decode_image(raw(of_tomorrow=[[]] * 19_998)) == (Image(uuid="u1"), ())


def test_an_image_with_very_many_events_has_them_all() -> None:
    events = [{"task_name": "T", "nodes_events": [{"ip": {"addr": f"node {n}"}} for n in range(4_999)]}]
    assert len(image_of(events=events).events) == len(decode_spans(raw(events=events))) == 4_999


DECODERS: Mapping[str, Callable[[bytes], object]] = {
    "a page": page_or_message,
    "an image": lambda body: image_or_message(msgspec.Raw(body[len('{"count":1,"results":[') : -len("]}")])),
    "a version": decode_version,
    "a session cookie": decode_session_cookie_name,
    "an error": decode_error,
}


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize("worst", WORST_PAGES.values(), ids=WORST_PAGES)
def test_decoding_takes_no_more_memory_than_the_reply_itself_has(
    worst: Reply, decode: Callable[[bytes], object]
) -> None:
    body = worst.body(8 * 1024 * 1024)  # a quarter of the limit: the bound is a ratio
    tracemalloc.start()
    try:
        decode(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 1.1 * len(body)


def test_a_message_is_clipped_to_ten_thousand_characters() -> None:
    event = {"ip": {"addr": "n1"}, "message": "x" * 10_001}
    raw = dumps({"uuid": "u1", "events": [{"task_name": "Extract", "nodes_events": [event]}]})
    ((kept,),) = (image.events for image, _ in [decode_image(msgspec.Raw(raw))])
    assert kept.message == "x" * 10_000


def test_a_span_lasts_from_the_first_start_to_the_last_end() -> None:
    first = {"ip": {"addr": "n1"}, "start_time": "2025-02-13 10:00:00", "status": "SYSERR_SUCCESS", "duration": 108}
    whole = {**first, "end_time": "2025-02-13 10:01:48"}
    step = {**first, "start_time": "2025-02-13 10:01:12", "end_time": "2025-02-13 10:01:48", "message": "scripts"}
    waits = {"ip": {"addr": "n2"}}
    raw = dumps(
        {"uuid": "u1", "events": [{"task_name": "Extract", "nodes_events": [whole, waits], "sub_events": [step]}]}
    )
    done, waiting = decode_spans(msgspec.Raw(raw))
    assert (done.state, done.message, done.duration_s) == ("succeeded", "scripts", 108.0)
    assert done.ended_at
    assert done.started_at
    assert done.ended_at - done.started_at == 108.0
    assert waiting == Event("Extract", "n2", "pending", "")


def test_a_task_with_a_running_step_has_no_end() -> None:
    done = {"ip": {"addr": "n1"}, "start_time": "2025-02-13 10:00:00", "end_time": "2025-02-13 10:00:09", "duration": 9}
    runs = {"ip": {"addr": "n1"}, "start_time": "2025-02-13 10:00:09", "status": "SYSERR_PENDING"}
    raw = dumps({"uuid": "u1", "events": [{"nodes_events": [{**done, "status": "SYSERR_SUCCESS"}, runs]}]})
    (event,) = decode_spans(msgspec.Raw(raw))
    assert (event.state, event.ended_at, event.duration_s, event.task) == ("running", None, None, "unknown")
