"""The fields of an Image in each API version, and the negotiation of the version."""

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
    ("version", "missing"),
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
def test_fields_that_a_version_does_not_have_are_left_out(version: tuple[int, ...], missing: set[str]) -> None:
    assert IMAGE.keys() - view_in_version(IMAGE, version).keys() == missing


@pytest.mark.parametrize(("version", "there"), [((22, 1, 6), False), ((30, 2, 1), True), ((32, 2, 1), False)])
def test_the_remote_image_reference_exists_in_some_versions_only(version: tuple[int, ...], *, there: bool) -> None:
    assert ("remote_image_ref" in view_in_version(IMAGE, version)["controller_info"]["build"]) is there


def test_a_request_without_a_version_is_answered_as_16_4_2() -> None:
    assert negotiate(None, "30.2.1") == ((16, 4, 2), "16_4_2")


def test_the_response_names_the_requested_version() -> None:
    assert negotiate("22.1.6", "30.2.1") == ((22, 1, 6), "22.1.6")


@pytest.mark.parametrize("requested", ["30.2.2", "99.1.1", "newest", ""])
def test_an_invalid_or_too_new_version_is_rejected(requested: str) -> None:
    with pytest.raises(ApiError, match="Invalid version") as caught:
        negotiate(requested, "30.2.1")
    assert caught.value.status == 400


def test_a_written_field_that_is_too_new_is_rejected_with_the_controllers_text() -> None:
    with pytest.raises(ApiError) as caught:
        reject_newer_fields(("name", "fips_mode_transition_applicable"), (22, 1, 6))
    assert caught.value.text == (
        "Incoming request (v22_1_6) has field (fips_mode_transition_applicable) introduced in later versions(v30_1_1)."
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [("30.2.1", (30, 2, 1)), ("16_4_2", (16, 4, 2)), ("30.2.1-2p3", (30, 2, 1)), ("thirty", None), ("", None)],
)
def test_versions_are_parsed_in_every_spelling(text: str, version: tuple[int, ...] | None) -> None:
    assert parse(text) == version
