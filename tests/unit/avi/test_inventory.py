"""Which images a Controller says are in use."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.inventory import decode_images_in_use
from monitor.model.errors import BadAnswer
from tests.support.strategies import BOUNDED

LIMIT = 64 * 1024


def decoded(*infos: Any, **fields: Any) -> dict[str, bool]:  # noqa: ANN401  JSON
    body = msgspec.json.encode({"count": 1, "results": [{"version": "32.2.1", "image_info": infos}], **fields})
    return dict(decode_images_in_use(body, max_response=LIMIT))


def test_of_each_image_it_is_told_whether_it_is_in_use() -> None:
    used = {"image": {"uuid": "image-1", "name": "a", "events": []}, "in_use": True, "in_use_info": [{"name": "c"}]}
    free = {"image": {"url": "https://10.0.0.1/api/image/image-2#b"}, "in_use": False}
    assert decoded(used, free) == {"image-1": True, "image-2": False}


def test_an_image_of_which_it_is_not_told_is_left_out() -> None:
    assert decoded({"image": {"uuid": "image-1"}}, {"in_use": True}, {}) == {}
    assert decoded(results=[{"version": "32.2.1", "image_info": None}]) == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    {b"[]": "decode", b"{}": "decode", b'{"results":[%s{}]}' % (b"{}," * 1024): "oversize"}.items(),
    ids=["of another shape", "without results", "of too many objects"],
)
def test_another_reply_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        decode_images_in_use(body, max_response=LIMIT)
    assert (refused.value.reason, refused.value.phase) == (reason, "inventory")


@given(st.binary())
@BOUNDED
def test_any_reply_is_decoded_or_refused(body: bytes) -> None:
    with suppress(BadAnswer):
        decode_images_in_use(body, max_response=LIMIT)
