"""How a PATCH changes an image, and which ones are rejected."""

from typing import Any

import msgspec
import pytest

from monitor.simulator.http_types import ApiError
from monitor.simulator.patching import PatchContext, apply_patch
from monitor.simulator.specs import PatchPolicy

IMAGE: dict[str, Any] = {
    "uuid": "image-1",
    "name": "one",
    "type": "IMAGE_TYPE_SYSTEM",
    "_last_modified": "100",
    "uber_bundle": False,
    "cloud_info_values": [{"cloud_name": "a"}, {"cloud_name": "b"}],
    "progress": 40,
}


def patch(body: object, *, policy: PatchPolicy | None = None, version: tuple[int, ...] = (30, 2, 1)) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    context = PatchContext(policy or PatchPolicy(), version, {"image-1": "one", "image-2": "two"})
    return apply_patch(IMAGE, raw, context)


def rejection(body: object, *, policy: PatchPolicy | None = None, version: tuple[int, ...] = (30, 2, 1)) -> ApiError:
    with pytest.raises(ApiError) as caught:
        patch(body, policy=policy, version=version)
    return caught.value


@pytest.mark.parametrize("operation", ["add", "replace"])
def test_a_scalar_is_set_by_add_and_by_replace(operation: str) -> None:
    assert patch({operation: {"name": "new"}}) == {**IMAGE, "name": "new"}


def test_delete_unsets_a_scalar() -> None:
    assert "uber_bundle" not in patch({"delete": {"uber_bundle": False}})


def test_add_appends_to_a_list() -> None:
    after = patch({"add": {"cloud_info_values": [{"cloud_name": "c"}]}})
    assert [value["cloud_name"] for value in after["cloud_info_values"]] == ["a", "b", "c"]


def test_replace_replaces_a_list() -> None:
    assert patch({"replace": {"cloud_info_values": []}})["cloud_info_values"] == []


def test_delete_removes_the_matching_entries_of_a_list() -> None:
    after = patch({"delete": {"cloud_info_values": [{"cloud_name": "a"}]}})
    assert after["cloud_info_values"] == [{"cloud_name": "b"}]


def test_json_patch_changes_nested_values() -> None:
    steps = [
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/cloud_info_values/-", "value": {"cloud_name": "c"}},
        {"op": "replace", "path": "/cloud_info_values/0/cloud_name", "value": "z"},
        {"op": "remove", "path": "/cloud_info_values/1"},
    ]
    after = patch({"json_patch": steps})
    assert after["name"] == "new"
    assert after["cloud_info_values"] == [{"cloud_name": "z"}, {"cloud_name": "c"}]


def test_json_patch_replaces_an_entry_of_a_list() -> None:
    after = patch({"json_patch": [{"op": "replace", "path": "/cloud_info_values/1", "value": {}}]})
    assert after["cloud_info_values"] == [{"cloud_name": "a"}, {}]


def test_json_patch_does_not_change_the_original() -> None:
    patch({"json_patch": [{"op": "remove", "path": "/cloud_info_values/0"}]})
    assert len(IMAGE["cloud_info_values"]) == 2


def test_a_plain_body_is_merged_if_the_policy_allows_it() -> None:
    assert patch({"name": "new"}, policy=PatchPolicy(plain="merge"))["name"] == "new"


def test_fields_of_the_controller_are_written_if_the_policy_allows_it() -> None:
    assert patch({"replace": {"progress": 41}}, policy=PatchPolicy(owned="accept"))["progress"] == 41


def test_the_current_last_modified_is_accepted_as_a_condition() -> None:
    assert patch({"replace": {"name": "new", "_last_modified": "100"}}) == {**IMAGE, "name": "new"}


def test_a_reference_to_an_existing_image_is_accepted() -> None:
    ref = "https://10.0.0.1/api/image/image-2#two"
    assert patch({"add": {"controller_patch_ref": ref}})["controller_patch_ref"] == ref


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        pytest.param({"replace": {"name": "n", "_last_modified": "99"}}, 412, "Concurrent Update Error", id="stale"),
        pytest.param({"replace": {"name": "two"}}, 409, "already exists", id="name-taken"),
        pytest.param({"name": "new"}, 400, "add, replace, delete", id="plain"),
        pytest.param({"add": {}, "delete": {}}, 400, "add, replace, delete", id="two-operations"),
        pytest.param({"replace": {"colour": "red"}}, 400, "Unknown field colour", id="unknown-field"),
        pytest.param({"replace": {"uuid": "x"}}, 400, "uuid of object Image is read-only", id="read-only"),
        pytest.param({"replace": {"progress": 100}}, 400, "progress of object Image is read-only", id="owned"),
        pytest.param({"replace": {"name": 5}}, 400, "Invalid value for field name", id="wrong-type"),
        pytest.param({"replace": {"type": "IMAGE_TYPE_X"}}, 400, "Invalid enum value", id="bad-enum"),
        pytest.param({"delete": {"name": "one"}}, 400, "required", id="nameless"),
        pytest.param({"add": {"se_patch_ref": "/api/image/no"}}, 400, "object not found", id="bad-reference"),
        pytest.param({"add": ["name"]}, 400, "an object is expected", id="operation-on-a-list"),
        pytest.param([1], 400, "an object is expected", id="a-list"),
        pytest.param(b"{", 400, "JSON parse error", id="no-json"),
        pytest.param({"json_patch": {}}, 400, "Invalid json_patch", id="json-patch-no-list"),
        pytest.param({"json_patch": [{"op": "move", "path": "/name"}]}, 400, "Invalid json_patch step", id="bad-op"),
        pytest.param({"json_patch": [{"op": "remove", "path": "/se_patch_name"}]}, 400, "not exist", id="no-path"),
        pytest.param(
            {"json_patch": [{"op": "add", "path": "/_last_modified", "value": "1"}]},
            400,
            "read-only",
            id="json-patch-lock",
        ),
    ],
)
def test_an_invalid_patch_is_rejected(body: object, status: int, text: str) -> None:
    error = rejection(body)
    assert error.status == status
    assert text in error.text


def test_a_field_newer_than_the_requested_version_is_rejected() -> None:
    body = {"replace": {"fips_mode_transition_applicable": False}}
    assert "introduced in later versions(v30_1_1)" in rejection(body, version=(22, 1, 6)).text


def test_a_removed_field_is_unknown() -> None:
    assert "Unknown field status" in rejection({"replace": {"status": "SYSERR_SUCCESS"}}).text


@pytest.mark.parametrize(
    ("policy", "status"),
    [(PatchPolicy(enabled=False), 405), (PatchPolicy(json_patch=False), 400)],
    ids=["images-cannot-be-changed", "too-old-for-json-patch"],
)
def test_the_policy_can_reject_patches(policy: PatchPolicy, status: int) -> None:
    body = {"json_patch": [{"op": "replace", "path": "/name", "value": "n"}]}
    assert rejection(body, policy=policy).status == status
