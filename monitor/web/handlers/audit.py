"""``GET /api/audit``: who changed what, the newest first."""

from contextlib import suppress

import msgspec
from aiohttp import web
from msgspec import UNSET

from monitor.model.errors import StoreError
from monitor.patching.audit import Entry
from monitor.web.context import CALLER, STATE
from monitor.web.handlers.images import number, other_page
from monitor.web.problems import Problem
from monitor.web.responses import Audited, AuditPage

PAGE_SIZE = 50
LARGEST_PAGE = 500
LARGEST_NUMBER = 2**53  # of a record; beyond it JSON numbers are not exact


async def list_audit(request: web.Request) -> web.Response:
    """
    The audit, one result an intent with what became of it.

    Query: ``image``, ``controller``, ``actor`` (equal); ``since``, ``until`` (Unix seconds); ``page_size`` (1 to 500,
    50 by default); ``before``, the number of a record, to read on from.
    Shape: ``{"results": [entry, …], "next": url?}``; ``outcome`` is null while it is under way.
    """
    size = number(request, "page_size", most=LARGEST_PAGE) or PAGE_SIZE
    try:
        found = await _read(request, size + 1)
    except StoreError as error:
        raise Problem("database-down", f"the audit cannot be read: the database says {error}") from error
    more = other_page(request, before=found[size - 1].number) if len(found) > size else UNSET
    page = AuditPage([_shown(entry) for entry in found[:size]], more)
    return web.Response(body=msgspec.json.encode(page), content_type="application/json")


async def _read(request: web.Request, most: int) -> tuple[Entry, ...]:
    return await request.app[STATE].ledger.entries(
        image_uuid=request.query.get("image"),
        controller=request.query.get("controller"),
        controllers=request[CALLER].controllers,
        actor=request.query.get("actor"),
        since=_moment(request, "since"),
        until=_moment(request, "until"),
        before=number(request, "before", most=LARGEST_NUMBER) or None,
        most=most,
    )


def _moment(request: web.Request, key: str) -> float | None:
    text = request.query.get(key)
    if text is None:
        return None
    with suppress(msgspec.MsgspecError, ValueError):  # as JSON has numbers: neither 1_000 nor nan
        return msgspec.json.decode(text, type=float)
    raise Problem("bad-query", f"{key}: found {text[:40]!r}, expected Unix seconds")


def _shown(entry: Entry) -> Audited:
    intent, ending = entry.intent, entry.ending
    return Audited(
        number=entry.number,
        at=entry.at,
        actor=intent.actor,
        source=intent.source,
        request_id=intent.request_id,
        controller=intent.controller,
        image_uuid=intent.image_uuid,
        asked=intent.asked,
        outcome=ending.outcome if ending else None,
        ended_at=entry.ended_at,
        changes=ending.changes if ending else {},
        answer=ending.answer if ending else None,
        detail=ending.detail if ending else "",
    )
