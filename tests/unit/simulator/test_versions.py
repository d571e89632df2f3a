"""What clients of different versions see, and may send."""

import pytest

from monitor.simulator.http_types import ApiError
from monitor.simulator.versions import negotiate, parse, reject_newer_fields, view_in_version

IMAGE = {
    "uuid": "image-1",
    "name": "x",
    "status": "SYSERR_SUCCESS",
    "img_state": {"state": "IMAGE_FSM_COMPLETED"},
    "progress": 100,
    "events": [],
    "uber_bundle": False,
    "fips_mode_transition_applicable": True,
    "controller_info": {"build": {"version": "1", "remote_image_ref": "r"}},
    "dryrun_info": {"build": {}},
}


@pytest.mark.parametrize(
    ("version", "gone"),
    [
        (
            (16, 4, 2),
            {"img_state", "progress", "events", "uber_bundle", "fips_mode_transition_applicable", "dryrun_info"},
        ),
        ((20, 1, 9), {"img_state", "progress", "events", "fips_mode_transition_applicable", "dryrun_info"}),
        ((21, 1, 6), {"fips_mode_transition_applicable", "dryrun_info"}),
        ((22, 1, 6), {"status", "fips_mode_transition_applicable", "dryrun_info"}),
        ((30, 2, 1), {"status", "dryrun_info"}),
        ((31, 2, 2), {"status"}),
        ((32, 2, 1), {"status"}),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_fields_younger_than_the_request_are_left_out_and_so_is_what_was_removed(
    version: tuple[int, ...], gone: set[str]
) -> None:
    assert IMAGE.keys() - view_in_version(IMAGE, version).keys() == gone


@pytest.mark.parametrize(("version", "there"), [((22, 1, 6), False), ((30, 2, 1), True), ((32, 2, 1), False)])
def test_the_remote_image_reference_came_and_went(version: tuple[int, ...], *, there: bool) -> None:
    assert ("remote_image_ref" in view_in_version(IMAGE, version)["controller_info"]["build"]) is there


def test_a_request_without_a_version_is_answered_as_16_4_2() -> None:
    assert negotiate(None, "30.2.1") == ((16, 4, 2), "16_4_2")


def test_the_version_is_echoed_as_it_was_asked_for() -> None:
    assert negotiate("22.1.6", "30.2.1") == ((22, 1, 6), "22.1.6")


@pytest.mark.parametrize("asked", ["30.2.2", "99.1.1", "newest", ""])
def test_a_version_that_is_none_or_too_young_is_refused(asked: str) -> None:
    with pytest.raises(ApiError, match="Invalid version") as refused:
        negotiate(asked, "30.2.1")
    assert refused.value.status == 400


def test_a_written_field_that_is_too_young_is_refused_in_the_words_of_the_controller() -> None:
    with pytest.raises(ApiError) as refused:
        reject_newer_fields(("name", "fips_mode_transition_applicable"), (22, 1, 6))
    assert refused.value.text == (
        "Incoming request (v22_1_6) has field (fips_mode_transition_applicable) introduced in later versions(v30_1_1)."
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [("30.2.1", (30, 2, 1)), ("16_4_2", (16, 4, 2)), ("30.2.1-2p3", (30, 2, 1)), ("thirty", None), ("", None)],
)
def test_versions_are_read_in_every_spelling(text: str, version: tuple[int, ...] | None) -> None:
    assert parse(text) == version
