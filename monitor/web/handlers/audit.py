"""``GET /api/audit``: who changed what and when, with the outcome; the newest first."""

import msgspec
from aiohttp import web
from msgspec import UNSET

from monitor.model.errors import AlteredRecord, StoreError
from monitor.patching.audit import PAGE_SIZE, Entry
from monitor.web.context import CALLER, CONTEXT
from monitor.web.problems import Problem
from monitor.web.query import number, other_page, time
from monitor.web.responses import AuditEntry, AuditPage

MAX_PAGE_SIZE = 500
MAX_NUMBER = 2**53  # of an entry; larger numbers are not exact in JSON


async def list_audit(request: web.Request) -> web.Response:
    """
    One result per intent, with its outcome.

    Query: ``uuid``, ``controller``, ``actor`` (equal); ``since``, ``until`` (Unix seconds); ``page_size`` (1 to 500,
    default 50); ``before``: only entries with a lower number.
    Shape: ``{"results": [entry, …], "next": reference?}``; ``outcome`` is null while the change is in progress.
    """
    size = number(request, "page_size", max_value=MAX_PAGE_SIZE) or PAGE_SIZE
    try:
        found = await _read(request, size + 1)
    except AlteredRecord as error:
        detail = f"{error}; `avi-upgrade-monitor audit verify` lists all that was altered"
        raise Problem("altered-record", detail) from error
    except StoreError as error:
        raise Problem("database-down", f"the audit cannot be read: the database failed: {error}") from error
    more = other_page(request, before=found[size - 1].number) if len(found) > size else UNSET
    page = AuditPage([_audit_entry(entry) for entry in found[:size]], more)
    return web.Response(body=msgspec.json.encode(page), content_type="application/json")


async def _read(request: web.Request, limit: int) -> tuple[Entry, ...]:
    return await request.app[CONTEXT].audit_log.entries(
        image_uuid=request.query.get("uuid", request.query.get("image")),
        controller=request.query.get("controller"),
        controllers=request[CALLER].controllers,
        actor=request.query.get("actor"),
        since=time(request, "since"),
        until=time(request, "until"),
        before=number(request, "before", max_value=MAX_NUMBER) or None,
        limit=limit,
    )


def _audit_entry(entry: Entry) -> AuditEntry:
    intent, outcome = entry.intent, entry.outcome
    return AuditEntry(
        number=entry.number,
        at=entry.at,
        actor=intent.actor,
        source=intent.source,
        request_id=intent.request_id,
        controller=intent.controller,
        uuid=intent.image_uuid,
        image_uuid=intent.image_uuid if intent.operation_key is None else "",
        operation_key=intent.operation_key,
        asked=intent.asked,
        outcome=outcome.kind if outcome else None,
        ended_at=entry.ended_at,
        changes=outcome.changes if outcome else {},
        answer=outcome.answer if outcome else None,
        detail=outcome.detail if outcome else "",
    )
