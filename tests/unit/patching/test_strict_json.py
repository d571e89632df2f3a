"""JSON of a request body: what is refused, and what the refusal says."""

import pytest

from monitor.model.errors import PatchProblem
from monitor.patching.strict_json import decode_json


def refused(body: bytes) -> PatchProblem:
    with pytest.raises(PatchProblem) as refusal:
        decode_json(body)
    assert refusal.value.kind == "bad-json"
    return refusal.value


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", ""),
        (b"{", ""),
        (b'{"name": NaN}', ""),
        (b'{"name": "\xff"}', ""),
        (b"\xff\xfe{\x00}\x00", ""),
        (b'{"name": "\\ud800x"}', "$.name"),
        (b'{"\\udc00": "x"}', "$"),
        (b'{"\\udc00": "x", "\\udc00": "y"}', "$"),
        (b'{"name": 1e999}', ""),
        (b"[" * 30_000, ""),
        (b'{"a":' * 20 + b"1" + b"}" * 20, ""),
        (b"[" * 20 + b"1" + b"]" * 20, ""),
        (b'{"name": "a", "name": "b"}', "$"),
        (b'{"annotations": {"a": "1", "a": "2"}}', "$.annotations"),
        (b'{"cloud_info_values": [{"cloud_name": "a", "cloud_name": "b"}]}', "$.cloud_info_values[0]"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_json_that_is_not_strict_is_refused_with_its_path(body: bytes, path: str) -> None:
    refusal = refused(body)
    assert refusal.path == path
    assert refusal.detail.encode(), "it can be encoded"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"name": "\\ud800x"}', r"found the unpaired surrogate \ud800"),
        (b'{"name": "\xff"}', "the body is not UTF-8: invalid byte 0xff at position 10"),
        ('{"name": "ü"}'.encode("latin-1"), "the body is not UTF-8: invalid byte 0xfc at position 10"),
        (b"", "the body is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"a": 1, "a": 2}', 'found the key "a" twice in one object'),
        (b"[" * 20 + b"]" * 20, "the body is nested more than 16 levels deep"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refusal_says_what_was_found(body: bytes, detail: str) -> None:
    assert refused(body).detail == detail


def test_a_surrogate_pair_is_one_character() -> None:
    assert decode_json(b'{"name": "\\ud83d\\ude00"}') == {"name": "\U0001f600"}
