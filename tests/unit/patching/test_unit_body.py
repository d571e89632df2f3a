"""The body of a PATCH of a unit: annotations in all forms, and no other member."""

import json
from typing import Any

import pytest

from monitor.model.errors import PatchProblem
from monitor.patching.annotations import AnnotationChange
from monitor.patching.body import Patch
from monitor.patching.unit_body import decode_annotations

NOTE = AnnotationChange({"a": "b"})


def patch(body: object) -> Patch:
    return decode_annotations(json.dumps(body).encode())


def refused(body: object) -> PatchProblem:
    with pytest.raises(PatchProblem) as refusal:
        patch(body)
    return refusal.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Patch()),
        ({"annotations": {"a": "b", "c": None}}, Patch(AnnotationChange({"a": "b", "c": None}))),
        ({"annotations": {"a": "b"}, "_last_modified": "5"}, Patch(NOTE, None, "5")),
        ({"add": {"annotations": {"a": "b"}}}, Patch(NOTE)),
        ({"add": {}, "annotations": {"a": "b"}}, Patch(NOTE)),
        (
            {"replace": {"annotations": {"a": "b"}, "_last_modified": "5"}},
            Patch(AnnotationChange({"a": "b"}, replace=True), None, "5"),
        ),
        ({"delete": {"annotations": ["a"]}}, Patch(AnnotationChange({"a": None}))),
        ({"json_patch": [{"op": "add", "path": "/annotations/a", "value": "b"}]}, Patch(NOTE)),
        ({"json_patch": []}, Patch()),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_annotations_are_decoded_from_every_form(body: object, expected: Patch) -> None:
    assert patch(body) == expected


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "x"}, "$.name"),
        ({"name": 5, "annotations": {"a": "b"}}, "$.name"),
        ({"no such field": 1}, '$["no such field"]'),
        ({"replace": {"annotations": {"a": "b"}, "state": {}}}, "$.replace.state"),
        ({"add": {"annotations": {"a": "b"}}, "progress": 100}, "$.progress"),
        ({"delete": {"image_ref": None}}, "$.delete.image_ref"),
        ({"json_patch": [{"op": "remove", "path": "/annotations/a"}, {"op": "remove", "path": "/enable_rollback"}]},
         "$.json_patch[1].path"),
        ({"json_patch": [{"op": "replace", "path": "/state/state", "value": "x"}]}, "$.json_patch[0].path"),
    ],
    ids=str,
)  # fmt: skip
def test_every_other_member_is_read_only_and_named(body: object, path: str) -> None:
    problem = refused(body)
    assert (problem.kind, problem.path) == ("read-only-field", path)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([], "bad-patch"),
        ("annotations", "bad-patch"),
        ({"annotations": []}, "bad-patch"),
        ({"annotations": {"a b": "c"}}, "bad-patch"),
        ({"replace": None}, "bad-patch"),
        ({"json_patch": [5]}, "bad-patch"),
        ({"json_patch": [{"op": "add", "path": 5}]}, "bad-patch"),
        ({"json_patch": [{"op": "add", "path": "annotations"}]}, "bad-patch"),
        ({"json_patch": [{"op": "replace", "path": "/annotations", "value": {}}]}, "bad-patch"),
        ({"add": {}, "replace": {}}, "two-operations"),
        ({"add": {"annotations": {}}, "annotations": {}}, "two-operations"),
        ({"annotations": {f"k{each}": "" for each in range(129)}}, "too-many-annotations"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_malformed_is_refused_as_for_an_image(body: Any, kind: str) -> None:  # noqa: ANN401
    assert refused(body).kind == kind


def test_a_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(PatchProblem) as refusal:
        decode_annotations(b"{")
    assert refusal.value.kind == "bad-json"
