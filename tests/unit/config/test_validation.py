"""The generic walk, on a shape of its own: what is wrong is said once, all of it, and where."""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType
from msgspec import inspect as mi

from monitor.config.validation import (
    InvalidValue,
    ParseContext,
    Rule,
    SchemaRules,
    TextFormat,
    check,
    found,
    plain,
    printable,
    quoted,
    text_format_of,
    written_as,
)

_SITE: Final = ParseContext(Path("/"), {})


def _even(text: str, _: ParseContext) -> int:
    number = int(text)
    if number % 2:
        raise InvalidValue("an even number in quotes")
    if number > 100:
        raise InvalidValue(found="much")
    return number


_EVEN: Final = TextFormat(expected="a number in quotes", parse=_even)
_HIDDEN: Final = TextFormat(expected="a number in quotes", parse=_even, shown=False)


class Leaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    even: Annotated[int, written_as(_EVEN), Meta(description="An even number.")]
    hidden: Annotated[int, written_as(_HIDDEN)] | UnsetType = UNSET
    count: Annotated[int, Meta(ge=1)] = 1
    plain: int = 0


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    low: Annotated[int, Meta(ge=0)] = 1
    high: Annotated[int, Meta(ge=0)] = 2
    on: bool = False
    word: Literal["a", "b"] = "a"
    words: frozenset[Literal["a", "b"]] = frozenset()
    leaf: Leaf = msgspec.field(default_factory=lambda: Leaf(even=0))
    leaves: tuple[Leaf, ...] = ()


_BOOK: Final = SchemaRules(
    rules={
        Tree: (Rule("high", ("low", "high"), lambda tree: "too low" if tree.high < tree.low else None),),
        Leaf: (Rule("", ("count",), lambda leaf: "ninety-nine" if leaf.count == 99 else None),),
    },
    unknown={"password": "not here"},
)


def _problems(tree: object) -> tuple[str, ...]:
    return check(tree, Tree, _SITE, _BOOK)[1]


def test_a_good_tree_is_read_into_its_types() -> None:
    tree = {"low": 3, "high": 4, "on": True, "word": "b", "words": ["b", "a"], "leaves": [{"even": "4", "hidden": "6"}]}
    leaves = (Leaf(even=4, hidden=6),)
    expected = Tree(low=3, high=4, on=True, word="b", words=frozenset({"a", "b"}), leaves=leaves)
    assert check(tree, Tree, _SITE, _BOOK) == (expected, ())


@pytest.mark.parametrize(
    ("tree", "problems"),
    [
        pytest.param([], ["found a list, expected a mapping of keys"], id="root"),
        pytest.param({"low": True}, ["low: found true, expected a whole number of at least 0"], id="bool-for-int"),
        pytest.param({"low": -1}, ["low: found -1, expected a whole number of at least 0"], id="too-small"),
        pytest.param({"on": 1}, ["on: found 1, expected true or false"], id="int-for-bool"),
        pytest.param({"on": None}, ["on: found nothing, expected true or false"], id="null"),
        pytest.param({"word": "c"}, ['word: found "c", expected one of a, b'], id="literal"),
        pytest.param({"word": ["a"]}, ["word: found a list, expected one of a, b"], id="list-for-literal"),
        pytest.param({"words": "a"}, ['words: found "a", expected a list'], id="text-for-list"),
        pytest.param({"words": ["a", 1]}, ["words[1]: found 1, expected one of a, b"], id="element"),
        pytest.param({"leaf": {}}, ["leaf.even: found nothing, expected a number in quotes"], id="required"),
        pytest.param({"leaf": {"even": 2}}, ["leaf.even: found 2, expected a number in quotes"], id="format-type"),
        pytest.param({"leaf": {"even": "x"}}, ['leaf.even: found "x", expected a number in quotes'], id="format-value"),
        pytest.param(
            {"leaf": {"even": "3"}},
            ['leaf.even: found "3", expected an even number in quotes'],
            id="format-expects-more",
        ),
        pytest.param(
            {"leaf": {"even": "200"}}, ["leaf.even: found much, expected a number in quotes"], id="format-finds-more"
        ),
        pytest.param(
            {"leaf": {"even": "2", "hidden": "s3cret"}},
            ["leaf.hidden: found a value (not shown), expected a number in quotes"],
            id="hidden-text",
        ),
        pytest.param(
            {"leaf": {"even": "2", "hidden": 12345}},
            ["leaf.hidden: found a value (not shown), expected a number in quotes"],
            id="hidden-number",
        ),
        pytest.param({"low": 3}, ["high: too low"], id="rule"),
        pytest.param({"leaves": [{"even": "2", "count": 99}]}, ["leaves[0]: ninety-nine"], id="rule-of-a-struct"),
        pytest.param({"password": "s3cret"}, ["password: not here"], id="unknown-with-words-of-its-own"),
    ],
)
def test_a_problem_is_reported_as(tree: object, problems: list[str]) -> None:
    assert list(_problems(tree)) == problems


def test_an_unknown_key_is_reported_without_its_value_and_with_the_nearest_name() -> None:
    assert _problems({"hihg": "s3cret", "leaf": {"even": "2", "zzz": ["s3cret"]}}) == (
        "hihg: unknown key, expected one of low, high, on, word, words, leaf, leaves; did you mean high?",
        "leaf.zzz: unknown key, expected one of even, hidden, count, plain",
    )


def test_all_problems_are_reported_at_once() -> None:
    tree = {"low": "x", "on": 1, "zzz": 1, "leaves": [{"even": 1, "count": 99}, {}, 7]}
    assert [problem.partition(":")[0] for problem in _problems(tree)] == [
        "zzz",
        "low",
        "on",
        "leaves[0].even",
        "leaves[0]",
        "leaves[1].even",
        "leaves[2]",
    ]


def test_a_rule_is_not_checked_when_one_of_its_fields_has_a_problem() -> None:
    assert len(_problems({"low": 5, "high": "x"})) == 1


def test_a_field_with_a_problem_has_its_default() -> None:
    tree, problems = check({"low": "x", "leaves": [{}, 7]}, Tree, _SITE, _BOOK)
    assert len(problems) == 3
    assert (tree.low, tree.leaves) == (1, (Leaf(even=UNSET), UNSET))  # type: ignore[arg-type]


def test_a_required_mapping_that_is_missing_is_reported_by_its_shape() -> None:
    class Outer(msgspec.Struct):
        inner: Annotated[Leaf, Meta(description="A leaf.")]

    assert check({}, Outer, _SITE, SchemaRules())[1] == ("inner: found nothing, expected a mapping of keys",)


@pytest.mark.parametrize(
    ("shape", "meaning"),
    [
        pytest.param(Annotated[int, written_as(_EVEN), Meta(description="Even.")], _EVEN, id="format"),
        pytest.param(Annotated[int, Meta(description="Any.")], None, id="description-alone"),
        pytest.param(Annotated[int, Meta(extra={"other": 1})], None, id="another-extra"),
        pytest.param(int, None, id="bare"),
    ],
)
def test_the_format_of_an_annotation(shape: type, meaning: TextFormat | None) -> None:
    assert text_format_of(mi.type_info(shape)) is meaning


@pytest.mark.parametrize(
    ("value", "text"),
    [({"a": 1}, "a mapping"), ([1], "a list"), (None, "nothing"), (1.5, "1.5"), (False, "false"), ("x", '"x"')],
)
def test_a_value_is_described_in_words(value: object, text: str) -> None:
    assert found(value) == text


def test_quoted_text_stays_on_one_line() -> None:
    assert quoted("a\nb\x1b\x85\u2028ü") == '"a\\nb\\x1b\\x85\\u2028ü"'
    assert plain("x" * 81) == "x" * 79 + "…"
    assert printable("x" * 81 + "\r") == "x" * 81 + "\\r"


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    numbers: dict[str, Annotated[int, written_as(_HIDDEN)]] = {}


def test_a_mapping_may_have_any_keys() -> None:
    assert check({"numbers": {"a b": "2", "c": "4"}}, Named, _SITE, _BOOK) == (Named({"a b": 2, "c": 4}), ())


def test_each_problem_in_such_a_mapping_is_reported_with_its_key() -> None:
    assert check({"numbers": {"a\n": "s3cret", "b": "2", "c": 4}}, Named, _SITE, _BOOK)[1] == (
        "numbers.a\\n: found a value (not shown), expected a number in quotes",
        "numbers.c: found a value (not shown), expected a number in quotes",
    )
    assert check({"numbers": ["a"]}, Named, _SITE, _BOOK)[1] == ("numbers: found a list, expected a mapping of keys",)
