"""The body of a PATCH: the three forms, and every refusal with its JSON path."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.errors import PatchProblem
from monitor.patching.annotations import AnnotationChange
from monitor.patching.body import Patch, decode_patch, is_version
from monitor.patching.fields import ADJUSTABLE, OWNED, Adjustment
from tests.support.strategies import BOUNDED

CLOUD = {"cloud_name": "vc", "cloud_data_values": [{"key": "region", "values": ["eu"]}]}
NAME = Adjustment("replace", {"name": "x"})


def patch(body: object) -> Patch:
    return decode_patch(json.dumps(body).encode())


def refused(body: object) -> PatchProblem:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(PatchProblem) as refusal:
        decode_patch(raw)
    return refusal.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Patch()),
        ({"name": "x"}, Patch(adjustment=NAME)),
        ({"se_patch_ref": None}, Patch(adjustment=Adjustment("delete", {"se_patch_ref": None}))),
        ({"annotations": {"a": "b", "c": None}}, Patch(AnnotationChange({"a": "b", "c": None}))),
        ({"name": "x", "annotations": {"a": "b"}}, Patch(AnnotationChange({"a": "b"}), NAME)),
        ({"name": "x", "_last_modified": "5"}, Patch(None, NAME, "5")),
        ({"replace": {"name": "x"}}, Patch(adjustment=NAME)),
        ({"add": {"cloud_info_values": [CLOUD]}}, Patch(adjustment=Adjustment("add", {"cloud_info_values": [CLOUD]}))),
        ({"delete": {"se_patch_name": "any"}}, Patch(adjustment=Adjustment("delete", {"se_patch_name": None}))),
        ({"replace": {"annotations": {"a": "b"}}}, Patch(AnnotationChange({"a": "b"}, replace=True))),
        ({"add": {"annotations": {"a": "b"}}}, Patch(AnnotationChange({"a": "b"}))),
        ({"delete": {"annotations": {"a": 5}}}, Patch(AnnotationChange({"a": None}))),
        ({"delete": {"annotations": ["a", "b"]}}, Patch(AnnotationChange({"a": None, "b": None}))),
        ({"replace": {"name": "x"}, "annotations": {"a": None}}, Patch(AnnotationChange({"a": None}), NAME)),
        ({"replace": {"name": "x", "_last_modified": "5"}}, Patch(None, NAME, "5")),
        ({"replace": {"name": "x"}, "_last_modified": "5"}, Patch(None, NAME, "5")),
        ({"replace": {}}, Patch()),
        ({"json_patch": []}, Patch()),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_each_form_of_body_is_decoded(body: object, expected: Patch) -> None:
    assert patch(body) == expected


STEPS: list[tuple[list[dict[str, Any]], Patch]] = [
    ([{"op": "replace", "path": "/name", "value": "x"}], Patch(adjustment=NAME)),
    ([{"op": "add", "path": "/name", "value": "x"}], Patch(adjustment=NAME)),
    ([{"op": "remove", "path": "/se_patch_ref"}], Patch(adjustment=Adjustment("delete", {"se_patch_ref": None}))),
    (
        [{"op": "add", "path": "/cloud_info_values/-", "value": CLOUD}] * 2,
        Patch(adjustment=Adjustment("add", {"cloud_info_values": [CLOUD, CLOUD]})),
    ),
    (
        [{"op": "add", "path": "/cloud_info_values/-", "value": CLOUD}, {"op": "add", "path": "/name", "value": "x"}],
        Patch(adjustment=Adjustment("add", {"cloud_info_values": [CLOUD], "name": "x"})),
    ),
    (
        [{"op": "add", "path": "/cloud_info_values", "value": [CLOUD]}],
        Patch(adjustment=Adjustment("replace", {"cloud_info_values": [CLOUD]})),
    ),
    (
        [{"op": "replace", "path": "/cloud_info_values", "value": []}]
        + [{"op": "add", "path": "/cloud_info_values/-", "value": CLOUD}] * 2,
        Patch(adjustment=Adjustment("replace", {"cloud_info_values": [CLOUD, CLOUD]})),
    ),
    (
        [{"op": "remove", "path": "/cloud_info_values"}, {"op": "add", "path": "/cloud_info_values/-", "value": CLOUD}],
        Patch(adjustment=Adjustment("replace", {"cloud_info_values": [CLOUD]})),
    ),
    (
        [{"op": "add", "path": "/annotations/a~1b", "value": "v"}, {"op": "remove", "path": "/annotations/c"}],
        Patch(AnnotationChange({"a/b": "v", "c": None})),
    ),
]


@pytest.mark.parametrize(("steps", "expected"), STEPS, ids=[str(place) for place in range(len(STEPS))])
def test_a_json_patch_becomes_one_operation_of_the_controller(steps: list[Any], expected: Patch) -> None:
    assert patch({"json_patch": steps}) == expected


@pytest.mark.parametrize(
    ("body", "kind", "path"),
    [
        (b"{", "bad-json", ""),
        (b'{"name": "a", "name": "b"}', "bad-json", "$"),
        (b"5", "bad-patch", "$"),
        (b"[]", "bad-patch", "$"),
        ({"nam": "x"}, "unknown-field", "$.nam"),
        ({"progress": 5}, "read-only-field", "$.progress"),
        ({"replace": {"events": []}}, "read-only-field", "$.replace.events"),
        ({"replace": {"name": "x"}, "type": "IMAGE_TYPE_PATCH"}, "unknown-field", "$.type"),
        ({"name": 5}, "bad-patch", "$.name"),
        ({"name": ""}, "bad-patch", "$.name"),
        ({"name": "x" * 1025}, "bad-patch", "$.name"),
        ({"name": "\0"}, "bad-patch", "$.name"),
        ({"se_patch_name": "a\nb\x1b[31m"}, "bad-patch", "$.se_patch_name"),
        ({"replace": {"name": "a\n"}}, "bad-patch", "$.replace.name"),
        ({"add": {"controller_patch_ref": "\x7f"}}, "bad-patch", "$.add.controller_patch_ref"),
        ({"json_patch": [{"op": "add", "path": "/name", "value": "\x9b"}]}, "bad-patch", "$.json_patch[0].value"),
        ({"cloud_info_values": [{"cloud_name": "\t"}]}, "bad-patch", "$.cloud_info_values[0].cloud_name"),
        (
            {"delete": {"cloud_info_values": [{"cloud_name": "\r"}]}},
            "bad-patch",
            "$.delete.cloud_info_values[0].cloud_name",
        ),
        ({"delete": {"cloud_info_values": "x"}}, "bad-patch", "$.delete.cloud_info_values"),
        (
            {"add": {"cloud_info_values": [{"cloud_name": "x", "cloud_data_values": [{"key": "\0"}]}]}},
            "bad-patch",
            "$.add.cloud_info_values[0].cloud_data_values[0].key",
        ),
        (
            {"cloud_info_values": [{"cloud_name": "x", "cloud_data_values": [{"key": "k", "values": ["\0"]}]}]},
            "bad-patch",
            "$.cloud_info_values[0].cloud_data_values[0].values[0]",
        ),
        (
            {"json_patch": [{"op": "add", "path": "/cloud_info_values/-", "value": {"cloud_name": "\0"}}]},
            "bad-patch",
            "$.json_patch[0].value.cloud_name",
        ),
        ({"a b": "x"}, "unknown-field", '$["a b"]'),
        ({"uber_bundle": "yes"}, "bad-patch", "$.uber_bundle"),
        ({"type": "IMAGE_TYPE_NONE"}, "bad-patch", "$.type"),
        ({"cloud_info_values": [{"cloud_name": 5}]}, "bad-patch", "$.cloud_info_values[0].cloud_name"),
        ({"cloud_info_values": [{"cloud_name": "x", "y": 1}]}, "bad-patch", "$.cloud_info_values[0]"),
        ({"replace": {"name": None}}, "bad-patch", "$.replace.name"),
        ({"replace": []}, "bad-patch", "$.replace"),
        ({"_last_modified": 5}, "bad-patch", "$._last_modified"),
        ({"name": "x", "se_patch_ref": None}, "two-operations", "$.se_patch_ref"),
        ({"add": {}, "delete": {}}, "two-operations", "$.delete"),
        ({"replace": {"annotations": {}}, "annotations": {}}, "two-operations", "$.annotations"),
        ({"replace": {"_last_modified": "1"}, "_last_modified": "1"}, "two-operations", "$._last_modified"),
        ({"annotations": []}, "bad-patch", "$.annotations"),
        ({"annotations": {"a b": "x"}}, "bad-patch", '$.annotations["a b"]'),
        ({"annotations": {"a\n": "x"}}, "bad-patch", r'$.annotations["a\n"]'),
        ({"annotations": {"": "x"}}, "bad-patch", '$.annotations[""]'),
        ({"annotations": {"k" * 64: "x"}}, "bad-patch", f'$.annotations["{"k" * 63}…"]'),
        ({"annotations": {"a": 1}}, "bad-patch", "$.annotations.a"),
        ({"annotations": {"a": "x" * 1025}}, "bad-patch", "$.annotations.a"),
        ({"annotations": {"a": "\0"}}, "bad-patch", "$.annotations.a"),
        ({"replace": {"annotations": {"a": None}}}, "bad-patch", "$.replace.annotations.a"),
        ({"delete": {"annotations": ["a", 5]}}, "bad-patch", "$.delete.annotations[1]"),
        ({"delete": {"annotations": "a"}}, "bad-patch", "$.delete.annotations"),
        ({"json_patch": {}}, "bad-patch", "$.json_patch"),
        ({"json_patch": [{"op": "test", "path": "/name", "value": "x"}]}, "bad-patch", "$.json_patch[0].op"),
        ({"json_patch": [{"op": "add", "path": "name", "value": "x"}]}, "bad-patch", "$.json_patch[0].path"),
        ({"json_patch": [{"op": "add", "path": "/name"}]}, "bad-patch", "$.json_patch[0]"),
        ({"json_patch": [{"op": "add", "path": "/name", "value": 5}]}, "bad-patch", "$.json_patch[0].value"),
        ({"json_patch": [{"op": "add", "path": "/progress", "value": 5}]}, "read-only-field", "$.json_patch[0].path"),
        ({"json_patch": [{"op": "add", "path": "/x", "value": 5}]}, "unknown-field", "$.json_patch[0].path"),
        ({"json_patch": [{"op": "add", "path": "/annotations", "value": {}}]}, "bad-patch", "$.json_patch[0].path"),
        ({"json_patch": [{"op": "remove", "path": "/annotations"}]}, "bad-patch", "$.json_patch[0].path"),
        ({"annotations": {f"k{number}": "x" for number in range(129)}}, "too-many-annotations", "$.annotations"),
        ({"json_patch": [{"op": "remove", "path": "/cloud_info_values/0"}]}, "bad-patch", "$.json_patch[0].path"),
        ({"json_patch": [{"op": "add", "path": "/name/-", "value": "x"}]}, "bad-patch", "$.json_patch[0].path"),
        (
            {"json_patch": [{"op": "add", "path": "/annotations/a b", "value": "x"}]},
            "bad-patch",
            "$.json_patch[0].path",
        ),
        ({"json_patch": [{"op": "add", "path": "/annotations/a", "value": 5}]}, "bad-patch", "$.json_patch[0].value"),
        ({"json_patch": [{"op": "add", "path": "/annotations/a"}]}, "bad-patch", "$.json_patch[0]"),
        (
            {"json_patch": [{"op": "add", "path": "/name", "value": "x"}, {"op": "remove", "path": "/se_patch_ref"}]},
            "two-operations",
            "$.json_patch",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_invalid_body_is_refused_with_its_json_path(body: object, kind: str, path: str) -> None:
    refusal = refused(body)
    assert (refusal.kind, refusal.path) == (kind, path)
    assert refusal.detail.encode(), "it can be encoded"


@pytest.mark.parametrize("field", sorted(OWNED))
def test_a_field_that_the_controller_owns_is_refused_in_every_form(field: str) -> None:
    bodies: list[object] = [{field: None}, *({form: {field: "x"}} for form in ("add", "replace", "delete"))]
    bodies.append({"json_patch": [{"op": "remove", "path": f"/{field}"}]})
    assert {refused(body).kind for body in bodies} == {"read-only-field"}


@pytest.mark.parametrize("field", sorted(ADJUSTABLE))
def test_every_adjustable_field_can_be_unset_in_every_form(field: str) -> None:
    forms: list[object] = [{field: None}, {"delete": {field: None}}]
    forms.append({"json_patch": [{"op": "remove", "path": f"/{field}"}]})
    assert [patch(form).adjustment for form in forms] == [Adjustment("delete", {field: None})] * 3


TYPES = "expected IMAGE_TYPE_SYSTEM, IMAGE_TYPE_PATCH or IMAGE_TYPE_MUST_CHECK"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"type": "X"}, f"found 'X', {TYPES}"),
        ({"replace": {"type": "X"}}, f"found 'X', {TYPES}"),
        ({"json_patch": [{"op": "add", "path": "/type", "value": "X"}]}, f"found 'X', {TYPES}"),
        ({"json_patch": [{"op": "move", "path": "/type"}]}, "found 'move', expected add, replace or remove"),
        ({"json_patch": [{"op": "add", "path": "name"}]}, "expected a JSON pointer such as /name"),
        ({"type": "X" * 9000}, f"found '{'X' * 79}, {TYPES}"),
        ({"name": "a\x1b[31m"}, "found a control character, expected a string without one"),
        ({"name": "x" * 1025}, "Expected `str` of length <= 1024"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refusal_says_what_was_found_and_what_was_expected(body: object, detail: str) -> None:
    assert refused(body).detail == detail


def test_a_refusal_names_the_adjustable_fields() -> None:
    assert "adjustable are name, controller_patch_ref" in refused({"progress": 5}).detail


@BOUNDED
@given(st.binary(max_size=200))
def test_any_bytes_are_a_patch_or_a_refusal(body: bytes) -> None:
    try:
        decode_patch(body)
    except PatchProblem as refusal:
        assert refusal.detail  # noqa: PT017  either is good


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "annotations", "_last_modified", "replace", "delete", "json_patch", "progress", "op", "path"]
)


@BOUNDED
@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=3))
def test_any_json_is_a_patch_of_one_operation_or_a_refusal(body: dict[str, Any]) -> None:
    try:
        found = patch(body)
    except PatchProblem as refusal:
        assert refusal.path.startswith("$") or refusal.kind == "bad-json"  # noqa: PT017
    else:
        assert found.adjustment is None or found.adjustment.fields.keys() <= ADJUSTABLE.keys()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("30.2.1", True),
        ("22.1", True),
        ("", False),
        ("30", False),
        ("30.2.1\n", False),
        ("v30.2", False),
        ("३.२", False),
    ],
)
def test_a_version_is_digits_and_dots(text: str, good: bool) -> None:
    assert is_version(text) is good
