"""Annotations: merging, their limits, and the values of `acknowledged`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.errors import PatchProblem
from monitor.model.tracked import is_acknowledged
from monitor.patching.annotations import MAX_ANNOTATIONS, AnnotationChange, Value, annotate, check_annotations

TEXTS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", "1", "2"]))
CHANGES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([None, "", "1", "2"]))


@given(TEXTS, CHANGES)
def test_a_merge_changes_the_keys_that_it_names_and_no_other(before: dict[str, str], change: dict[str, str]) -> None:
    after = annotate(before, AnnotationChange(change))
    assert {key: after.get(key) for key in change} == change
    assert {key: after.get(key) for key in before.keys() - change.keys()} == {
        key: before[key] for key in before.keys() - change.keys()
    }
    assert annotate(after, AnnotationChange(change)) == after


@given(TEXTS, TEXTS)
def test_a_replacement_removes_all_other_keys(before: dict[str, str], change: dict[str, str]) -> None:
    assert annotate(before, AnnotationChange(change, replace=True)) == change


def test_one_annotation_too_many_is_refused() -> None:
    full = {str(number): "x" for number in range(MAX_ANNOTATIONS)}
    assert annotate({}, AnnotationChange(full)) == full
    with pytest.raises(PatchProblem, match="65 annotations, expected at most 64") as refusal:
        annotate(full, AnnotationChange({"more": "x"}))
    assert refusal.value.kind == "too-many-annotations"


def test_annotations_can_be_removed_from_an_image_that_has_too_many() -> None:
    many = {str(number): "x" for number in range(MAX_ANNOTATIONS + 6)}
    assert len(annotate(many, AnnotationChange({"0": None, "1": "y"}))) == MAX_ANNOTATIONS + 5


@pytest.mark.parametrize("text", ["true", "yes", "1", "True", "YES"])
def test_values_that_acknowledge(text: str) -> None:
    assert is_acknowledged({"acknowledged": text})


@pytest.mark.parametrize("text", ["", "false", "no", "0", "2", "true "])
def test_values_that_do_not_acknowledge(text: str) -> None:
    assert not is_acknowledged({"acknowledged": text})
    assert not is_acknowledged({})


def test_an_invalid_value_is_named_by_its_key() -> None:
    check_annotations({"a/b.c-d_e": "x" * 1024}, Value, "$")
    with pytest.raises(PatchProblem, match="found a number, expected a string") as refusal:
        check_annotations({"good": "x", "bad": 5}, Value, "$.here")
    assert refusal.value.path == "$.here.bad"


@pytest.mark.parametrize(
    ("annotations", "detail", "path"),
    [
        ({"k" * 64: "x"}, "found a key of 64 characters, expected at most 63", f'$.annotations["{"k" * 63}…"]'),
        ({"a b": "x"}, 'found "a b" for a key, expected 1 to 63 characters of a-z A-Z', '$.annotations["a b"]'),
        ({"": "x"}, 'found "" for a key', '$.annotations[""]'),
        ({'q"\n': "x"}, r'found "q\"\n" for a key', r'$.annotations["q\"\n"]'),
        (["a", 5], "found a number for a key", "$.annotations[1]"),
        ({"a.b": "x" * 1025}, "found 1,025 characters, expected at most 1,024", '$.annotations["a.b"]'),
        ({"a": "\0"}, "found a zero byte, expected a string without one", "$.annotations.a"),
        ({"a": None}, "found null, expected a string", "$.annotations.a"),
        ({"a": {}}, "found an object, expected a string", "$.annotations.a"),
        ({"a": True}, "found a boolean, expected a string", "$.annotations.a"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_key_or_value_is_named_by_its_path_and_the_detail_says_what_is_expected(
    annotations: dict[str, object] | list[object], detail: str, path: str
) -> None:
    with pytest.raises(PatchProblem) as refusal:
        check_annotations(annotations, Value, "$.annotations")
    assert (refusal.value.kind, refusal.value.path) == ("bad-patch", path)
    assert refusal.value.detail.startswith(detail)
