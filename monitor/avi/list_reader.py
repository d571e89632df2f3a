"""Reads the pages of one list of a Controller until the list is complete."""

import operator
from collections.abc import Awaitable, Callable
from typing import Final

from monitor.avi.page_decoder import PageDecoder
from monitor.avi.paging import PAGE_SIZE, assemble, assemble_repeated
from monitor.model.errors import BadAnswer, Phase
from monitor.model.snapshot import ObjectList, Page

_MAX_PAGES: Final = 100  # 20,000 objects; a Controller that announces more would otherwise keep a poll busy for ever

GetPage = Callable[[int], Awaitable[bytes]]
"""Reads the page of a number, from 1. Raises: PollError."""


async def read_list(get: GetPage, before: ObjectList, *, max_response: int, phase: Phase) -> ObjectList:
    """
    Read all pages, and once more when they do not fit together, as objects were added or removed meanwhile.

    A page whose bytes did not change is not decoded again. Returns: ``before`` itself when none changed.
    Raises: PollError; ``incomplete`` when the pages of two reads did not fit together.
    """
    first = await _read_pages(get, before, max_response)
    if first and len(first) == len(before.pages) and all(map(operator.is_, first, before.pages)):
        return before
    if found := assemble(first):
        return found
    second = await _read_pages(get, ObjectList(tuple(first)), max_response)
    if found := assemble(second) or assemble_repeated(first, second):
        return found
    what = "in two reads the pages disagreed on `count`, or had fewer objects than that"
    raise BadAnswer("incomplete", what, phase=phase)


async def _read_pages(get: GetPage, before: ObjectList, max_response: int) -> list[Page]:
    pages: list[Page] = []
    objects, decoder = 0, PageDecoder(max_response)
    while len(pages) < _MAX_PAGES:
        body = await get(len(pages) + 1)
        known = before.pages[len(pages)] if len(pages) < len(before.pages) else None
        page = await decoder.decode(body, known)
        pages.append(page)
        objects += len(page.objects)
        if len(page.objects) < PAGE_SIZE if page.count is None else objects >= page.count or not page.objects:
            break
    return pages
