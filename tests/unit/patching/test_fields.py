"""Adjustments: what they change of an image, and how they are sent."""

import json

import pytest

from monitor.patching.fields import ADJUSTABLE, OWNED, Adjustment, Json, encode_adjustment, field_changes

A, B, C = ({"cloud_name": name} for name in "abc")
IMAGE = {"name": "old", "se_patch_ref": "/api/image/p", "cloud_info_values": [A, B]}


@pytest.mark.parametrize(
    ("adjustment", "changes", "request_body"),
    [
        (Adjustment("replace", {"name": "new"}), {"name": ("old", "new")}, {"replace": {"name": "new"}}),
        (Adjustment("add", {"type": "T"}), {"type": (None, "T")}, {"add": {"type": "T"}}),
        (
            Adjustment("add", {"cloud_info_values": [C]}),
            {"cloud_info_values": ([A, B], [A, B, C])},
            {"add": {"cloud_info_values": [C]}},
        ),
        (
            Adjustment("replace", {"cloud_info_values": [C]}),
            {"cloud_info_values": ([A, B], [C])},
            {"replace": {"cloud_info_values": [C]}},
        ),
        (
            Adjustment("delete", {"cloud_info_values": [A]}),
            {"cloud_info_values": ([A, B], [B])},
            {"delete": {"cloud_info_values": [A]}},
        ),
        (
            Adjustment("delete", {"se_patch_ref": None}),
            {"se_patch_ref": ("/api/image/p", None)},
            {"delete": {"se_patch_ref": "/api/image/p"}},
        ),
        (
            Adjustment("delete", {"cloud_info_values": None}),
            {"cloud_info_values": ([A, B], None)},
            {"delete": {"cloud_info_values": [A, B]}},
        ),
        (Adjustment("delete", {"type": None}), {"type": (None, None)}, {"delete": {"type": None}}),
        (
            Adjustment("delete", {"se_patch_ref": "whatever"}),
            {"se_patch_ref": ("/api/image/p", None)},
            {"delete": {"se_patch_ref": "whatever"}},
        ),
    ],
    ids=[
        "set",
        "set-absent",
        "add-entry",
        "set-list",
        "remove-entry",
        "unset",
        "unset-list",
        "unset-absent",
        "unset-by-value",
    ],
)
def test_an_adjustment_has_before_and_after_and_is_one_request(
    adjustment: Adjustment, changes: dict[str, tuple[Json, Json]], request_body: Json
) -> None:
    assert field_changes(IMAGE, adjustment) == changes
    assert json.loads(encode_adjustment(adjustment, IMAGE)) == request_body


def test_entries_can_be_added_to_an_absent_list() -> None:
    assert field_changes({}, Adjustment("add", {"cloud_info_values": [A]})) == {"cloud_info_values": (None, [A])}


def test_no_field_is_both_adjustable_and_owned_by_the_controller() -> None:
    assert not ADJUSTABLE.keys() & OWNED
