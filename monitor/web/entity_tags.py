"""
The entity tags that clients send back, in ``If-Match`` and ``If-None-Match``.

Our tags are of the content, whatever its encoding. So a tag is accepted as a proxy that compresses has made it: weak
(nginx), or with the coding at its end (Apache, Jetty).
"""

import re
from typing import Final

from aiohttp import web

_TAG: Final = re.compile(r'"([^"]*)"')
_CODING: Final = re.compile(r"(?:--?|;)(?:gzip|br|deflate|zstd)\Z")


def sent_tags(request: web.Request, header: str) -> frozenset[str] | None:
    """Return the tags in a header, without quotes and what a proxy added; ``*`` for any. None without the header."""
    values = request.headers.getall(header, ())
    if not values:
        return None
    text = ",".join(values)
    if text.strip() == "*":
        return frozenset("*")
    return frozenset(_CODING.sub("", tag) for tag in _TAG.findall(text)) - {"*"}
