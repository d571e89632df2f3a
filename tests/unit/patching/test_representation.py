"""An image as our API returns it, and its entity tag."""

import json

import pytest

from monitor.patching.representation import entity_tag, represent


@pytest.mark.parametrize("raw", [b"{}", b'{"name":"x"}', b' { "name" : "x" } \n', b"{ }"])
def test_our_members_follow_those_of_the_controller(raw: bytes) -> None:
    shown = represent(raw, 'dc"1', {"a": "b"})
    assert json.loads(shown) == {**json.loads(raw), "annotations": {"a": "b"}, "controller": 'dc"1'}


def test_the_same_content_has_the_same_tag_in_any_order() -> None:
    tag = entity_tag(b'{"a": 1, "b": {"c": 2, "d": 3}}', "dc1", {"x": "1", "y": "2"})
    assert entity_tag(b'{"b":{"d":3,"c":2},"a":1}', "dc1", {"y": "2", "x": "1"}) == tag


@pytest.mark.parametrize(
    ("raw", "controller", "annotations"),
    [(b'{"a": 2}', "dc1", {}), (b'{"a": 1}', "dc2", {}), (b'{"a": 1}', "dc1", {"x": ""}), (b'{"a": "1"}', "dc1", {})],
)
def test_any_difference_changes_the_tag(raw: bytes, controller: str, annotations: dict[str, str]) -> None:
    assert entity_tag(raw, controller, annotations) != entity_tag(b'{"a": 1}', "dc1", {})


def test_an_object_with_a_number_too_large_for_a_float_has_a_tag_too() -> None:
    assert entity_tag(b'{"a": 1e999}', "dc1", {}) != entity_tag(b'{"a": 2e999}', "dc1", {})
