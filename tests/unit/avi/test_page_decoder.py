"""The pages of one list: within limits of size and work, and off the event loop when they are large."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.page_decoder import PageDecoder
from monitor.avi.paging import decode_page
from monitor.model.errors import BadAnswer
from tests.support.worst_replies import LIMIT, WORST_PAGES, Reply

IMAGE = b'{"uuid":"u1","name":"%s"}' % (b"x" * 100)


def page(images: int) -> bytes:
    return b'{"results":[%s]}' % b",".join([IMAGE] * images)


async def test_a_page_with_the_same_bytes_is_not_decoded_again() -> None:
    known = decode_page(page(3))
    assert await PageDecoder(LIMIT).decode(page(3), known) is known


JSON_VALUES = st.sampled_from(
    (b"{}", b'{"uuid":"a"}', b'{"uuid":"b","x":[1,2]}', b"[]", b"5", b' {"uuid":"c"}', b"", b"{},{}", b'"\xff"', b"]")
)


@given(
    st.lists(JSON_VALUES, max_size=4),
    st.lists(JSON_VALUES, max_size=4),
    st.sampled_from((b'{"results":[', b'{"count":2, "results": [ ', b' {"next":{}, "results":[')),
    st.sampled_from((b"]}", b'], "count": 3}', b'],"results":[{"uuid":"a"}]}')),
)
def test_a_page_is_the_same_with_and_without_the_page_before(
    before: list[bytes], after: list[bytes], begin: bytes, end: bytes
) -> None:
    old, new = (begin + b",".join(images) + end for images in (before, after))
    with suppress(BadAnswer):
        known = decode_page(old)
        try:
            expected = decode_page(new)
        except BadAnswer:
            with pytest.raises(BadAnswer):
                decode_page(new, known)
        else:
            assert decode_page(new, known) == expected


async def test_the_limit_is_on_the_bytes_of_all_pages() -> None:
    decoder = PageDecoder(2 * len(page(10)) - 1)
    await decoder.decode(page(10), None)
    with pytest.raises(BadAnswer, match=f"more than {2 * len(page(10)) - 1} bytes on 2 pages") as caught:
        await decoder.decode(page(10), None)
    assert caught.value.reason == "oversize"


async def test_the_limit_is_on_the_json_objects_of_all_pages_too() -> None:
    dense = b'{"results":[{"uuid":"u1","events":[%s]}]}'
    decoder = PageDecoder(64 * 100)
    await decoder.decode(dense % b",".join([b"{}"] * 48), None)
    await decoder.decode(dense % b",".join([b"{}"] * 48), None)
    with pytest.raises(BadAnswer, match="more than 100 JSON objects on 3 pages; see `max_response`") as caught:
        await decoder.decode(b'{"results":[]}', None)
    assert caught.value.reason == "oversize"


async def test_objects_that_did_not_change_are_not_counted() -> None:
    body = b'{"results":[{"uuid":"u1","events":[%s]}]}' % b",".join([b"{}"] * 98)
    decoder = PageDecoder(64 * 100)
    known = await decoder.decode(body, None)
    assert await decoder.decode(body, known) is known


@pytest.mark.parametrize("worst", WORST_PAGES.values(), ids=WORST_PAGES)
async def test_other_tasks_run_while_a_large_page_is_decoded(worst: Reply) -> None:
    body = worst.body()
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        others = tasks.create_task(turn(), name="turn")
        await asyncio.sleep(0)
        before = turns
        with suppress(BadAnswer):
            await PageDecoder(LIMIT * 64).decode(body, None)  # so large that the number of objects is no reason
        assert turns > before
        others.cancel()
