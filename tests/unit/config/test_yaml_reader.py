"""One YAML file to a plain tree. What the config says about a bad file is in ``test_config``."""

from pathlib import Path

import pytest
import yaml

from monitor.config import yaml_reader
from monitor.config.yaml_reader import read_text_tree, read_tree


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers of PyYAML: the second is what a Python without libyaml takes."""
    monkeypatch.setattr(yaml_reader, "_LOADER", getattr(yaml, request.param))
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.yml"


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param("'true'", "true", id="quoted-word"),
        pytest.param('"12"', "12", id="quoted-number"),
        pytest.param("|\n  two\n  lines\n", "two\nlines\n", id="block"),
        pytest.param("true", True, id="true"),
        pytest.param("FALSE", False, id="false"),
        pytest.param("yes", "yes", id="yes-is-a-text"),
        pytest.param("on", "on", id="on-is-a-text"),
        pytest.param("", None, id="nothing"),
        pytest.param("~", None, id="tilde"),
        pytest.param("-12", -12, id="int"),
        pytest.param("007", 7, id="leading-zeros"),
        pytest.param("9" * 64, "9" * 64, id="a-number-too-long-is-a-text"),
        pytest.param("0x1f", "0x1f", id="hex-is-a-text"),
        pytest.param("30.2", 30.2, id="float"),
        pytest.param(".5", 0.5, id="float-without-zero"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("30.2.1", "30.2.1", id="version"),
        pytest.param("1:30", "1:30", id="base-60-is-a-text"),
        pytest.param("2024-01-01", "2024-01-01", id="a-date-is-a-text"),
        pytest.param("[1, {a: b}]", [1, {"a": "b"}], id="flow"),
        pytest.param("\n  - 1\n  - 2\n", [1, 2], id="list"),
        pytest.param("&anchor x", "x", id="anchor-that-nothing-uses"),
    ],
)
def test_a_value_is_read_as(path: Path, written: str, value: object) -> None:
    path.write_text(f"key: {written}")
    assert read_tree(path) == ({"key": value}, ())


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "found an empty file, expected a mapping of keys", id="no-byte"),
        pytest.param("# a comment\n", "found an empty file, expected a mapping of keys", id="comment-alone"),
        pytest.param("null\n", "found an empty file, expected a mapping of keys", id="null"),
        pytest.param("a: 1\n\tb: 2\n", "line 2, column 1: found a tab, expected spaces", id="tab"),
        pytest.param("a: &x 1\nb: *x\n", "line 2, column 4: found an alias, expected the value itself", id="alias"),
        pytest.param("a: !!int 1\n", "line 1, column 4: found a tag, expected a plain value", id="tag"),
        pytest.param("a: !x {}\n", "line 1, column 4: found a tag, expected a plain value", id="tag-on-a-mapping"),
        pytest.param("? {a: 1}\n: 1\n", "line 1, column 3: found a key that is not text, expected a name", id="key"),
        pytest.param("a: 1\n---\nb: 1\n", "line 2, column 1: found a second document, expected one", id="documents"),
        pytest.param("a: \x07\n", "found a control character, expected printable text", id="control-character"),
        pytest.param(
            "[" * 100_000, "line 1, column 18: found more than 16 levels, expected at most four", id="deep-list"
        ),
        pytest.param(
            "{a: " * 50, "line 1, column 69: found more than 16 levels, expected at most four", id="deep-mapping"
        ),
    ],
)
def test_a_file_is_refused_for(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    assert read_tree(path) == (None, (problem,))


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "a: b: c", "%FOO", "- a\nb: c", "a: @b", '"\\q"'])
def test_a_syntax_error_says_where_and_shows_no_line_of_the_file(path: Path, text: str) -> None:
    path.write_text(f"password: hunter2\n{text}")
    tree, (problem,) = read_tree(path)
    assert tree is None
    assert problem.startswith("line ")
    assert ": not YAML: " in problem
    assert "hunter2" not in problem


@pytest.mark.usefixtures("loader")
def test_repeated_keys_are_all_reported_and_the_first_is_kept(path: Path) -> None:
    path.write_text("a: 1\nb: {c: 1, c: 2}\na: 3\na: 4\n")
    assert read_tree(path) == (
        {"a": 1, "b": {"c": 1}},
        (
            'line 2, column 11: found the key "c" again, expected it once; first in line 2, column 5',
            'line 3, column 1: found the key "a" again, expected it once; first in line 1, column 1',
            'line 4, column 1: found the key "a" again, expected it once; first in line 1, column 1',
        ),
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"a: 1\nb: \xff\n", "line 2: found bytes that are not UTF-8, expected UTF-8 text", id="not-utf-8"),
        pytest.param(b" " * (16 * 1024**2 + 1), "cannot be read: File too large", id="too-large"),
    ],
)
def test_bytes_are_refused_for(path: Path, body: bytes, problem: str) -> None:
    path.write_bytes(body)
    assert read_tree(path) == (None, (problem,))


def test_a_byte_order_mark_is_no_part_of_the_first_key(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_tree(path) == ({"a": 1}, ())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("missing.yml", "cannot be read: No such file or directory", id="missing"),
        pytest.param(".", "cannot be read: Is a directory", id="directory"),
        pytest.param("loop", "cannot be read: Too many levels of symbolic links", id="loop"),
        pytest.param("a\0b", "cannot be read: not a usable path", id="null-byte"),
    ],
)
def test_a_path_is_refused_for(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert read_tree(tmp_path / name) == (None, (problem,))


# -- scalars that are all text


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("1", "1", id="int"),
        pytest.param("1.50", "1.50", id="float"),
        pytest.param("true", "true", id="bool"),
        pytest.param("'~'", "~", id="quoted"),
        pytest.param("~", None, id="tilde"),
        pytest.param("", None, id="nothing"),
        pytest.param("[1, no]", ["1", "no"], id="list"),
    ],
)
def test_in_a_tree_of_texts_a_value_is_read_as(path: Path, written: str, value: object) -> None:
    path.write_text(f"key: {written}")
    assert read_text_tree(path) == ({"key": value}, ())


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("text", ["", "# a comment\n", "null\n", "---\n"])
def test_in_a_tree_of_texts_a_file_without_content_is_an_empty_mapping(path: Path, text: str) -> None:
    path.write_text(text)
    assert read_text_tree(path) == ({}, ())


def test_a_tree_of_texts_is_refused_as_every_tree(path: Path) -> None:
    path.write_text("a: &x 1\nb: *x\n")
    assert read_text_tree(path) == (None, ("line 2, column 4: found an alias, expected the value itself",))
    assert read_text_tree(path.with_name("missing")) == (None, ("cannot be read: No such file or directory",))
