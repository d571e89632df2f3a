"""The query of a request: its numbers and times, and the reference to another page."""

from collections.abc import Collection
from contextlib import suppress

import msgspec
from aiohttp import web
from yarl import URL

from monitor.web.problems import Problem

LARGEST_PAGE_NUMBER = 1_000_000


def required(request: web.Request, key: str, expected: str) -> str:
    """Return a text of the query. ``expected``: what it is, for the error. Raises: Problem when it is absent."""
    text = request.query.get(key)
    if not text:
        raise Problem("bad-query", f"{key}: found none, expected {expected}")
    return text


def number(request: web.Request, key: str, *, max_value: int = LARGEST_PAGE_NUMBER) -> int:
    """Return a positive number of the query; 0 when absent. Raises: Problem."""
    text = request.query.get(key)
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and 0 < int(text) <= max_value):
        detail = f"{key}: found {text[:40]!r}, expected a number from 1 to {max_value}"
        raise Problem("bad-query", detail)
    return int(text)


def choice(request: web.Request, key: str, choices: Collection[str]) -> str:
    """Return one of the choices; empty when absent. Raises: Problem."""
    text = request.query.get(key, "")
    if key in request.query and text not in choices:
        raise Problem("bad-query", f"{key}: found {text[:40]!r}, expected one of {', '.join(choices)}")
    return text


def time(request: web.Request, key: str) -> float | None:
    """Return a time of the query, Unix seconds; None when absent. Raises: Problem."""
    text = request.query.get(key)
    if text is None:
        return None
    with suppress(msgspec.MsgspecError, ValueError):  # JSON numbers only: not 1_000, not nan
        return msgspec.json.decode(text, type=float)
    raise Problem("bad-query", f"{key}: found {text[:40]!r}, expected Unix seconds")


def other_page(request: web.Request, **query: int) -> str:
    """
    Return a relative reference to another page: this request's query with other parameters.

    It keeps the path, so it is right behind any proxy, under any prefix, and never sends a token to another host.
    """
    return str(URL.build(query=request.query).update_query(**query))
