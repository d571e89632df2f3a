"""
Decodes the pages of one list, within limits of size and work, and without holding the event loop.

What has to be decoded, kept and rendered of a list grows with the number of its JSON objects, not with its bytes: ten
million empty ones fit into 30 MB.
"""

import asyncio
from typing import Final

from monitor.avi.paging import decode_page
from monitor.model.errors import BadAnswer
from monitor.model.snapshot import Page

BYTES_PER_OBJECT: Final = 64  # on average; a Controller's own take 75 and more
_DECODED_AT_ONCE: Final = 256 * 1024  # bytes; a larger page would hold the event loop for too long


class PageDecoder:
    """
    Decodes the pages of one list, in their order.

    ``max_response``: the most bytes of all pages together; in 64 of them there may be one JSON object.
    """

    def __init__(self, max_response: int) -> None:
        self._max_response = self._bytes_left = max_response
        self._objects_left = max_response // BYTES_PER_OBJECT
        self._uncounted: list[bytes] = []
        self._pages = 0

    async def decode(self, body: bytes, known: Page | None) -> Page:
        """
        Return the page; ``known``, the page that was at this place before, if it has the same bytes.

        A large page is decoded in a thread, which gives way to the event loop between two images.
        Raises: BadAnswer.
        """
        self._pages += 1
        self._bytes_left -= len(body)
        if self._bytes_left < 0:
            raise BadAnswer("oversize", f"more than {self._max_response} bytes on {self._pages} pages")
        if known is not None and known.body == body:
            return known
        self._uncounted.append(body)
        if sum(map(len, self._uncounted)) > 2 * self._objects_left:  # less text cannot have so many
            self._objects_left -= sum(each.count(b"{") for each in self._uncounted)
            self._uncounted.clear()
        if self._objects_left < 0:
            most = self._max_response // BYTES_PER_OBJECT
            raise BadAnswer("oversize", f"more than {most} JSON objects on {self._pages} pages; see `max_response`")
        if len(body) <= _DECODED_AT_ONCE:
            return decode_page(body, known)
        return await asyncio.to_thread(decode_page, body, known)
