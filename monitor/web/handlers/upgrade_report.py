"""``GET /api/upgrade-report``: what happened in an upgrade of one controller, for the change ticket."""

import msgspec
from aiohttp import web

from monitor.model.errors import StoreError
from monitor.patching.audit import Entry
from monitor.polling.upgrade_log import MAX_LOGS
from monitor.polling.upgrade_report import AnnotatedUnit, report_on
from monitor.web.context import CONTEXT
from monitor.web.handlers.objects import find_controller
from monitor.web.problems import Problem
from monitor.web.query import number

_MAX_ANNOTATED = 500  # changes of annotations, the newest

_PREFIX = "annotations."


async def get_upgrade_report(request: web.Request) -> web.Response:
    """
    The report on the last upgrade of a controller, or on an earlier one, as far as it has come.

    Query: ``controller``; ``number``: 1 is the last upgrade, the default.
    Raises: Problem.
    """
    name, context = find_controller(request).name, request.app[CONTEXT]
    place = number(request, "number", max_value=MAX_LOGS) or 1
    logs = context.upgrade_logs(name)
    if len(logs) < place:
        known = f"the daemon knows of {len(logs)}" if logs else "none was seen since the daemon watches it"
        raise Problem("no-such-upgrade", f"{name} has no upgrade {place}: {known}")
    log = logs[-place]
    try:
        entries = await context.audit_log.entries(controller=name, since=log.began_at, limit=_MAX_ANNOTATED)
    except StoreError as error:
        raise Problem("database-down", f"the audit cannot be read: the database failed: {error}") from error
    annotated = filter(None, map(_annotated, reversed(entries)))
    report = report_on(name, log, annotated, now=context.now())
    return web.Response(body=msgspec.json.encode(report), content_type="application/json")


def _annotated(entry: Entry) -> AnnotatedUnit | None:
    """Return the change of annotations that an entry of the audit tells of; None when it tells of none."""
    changes = entry.outcome.changes if entry.outcome and entry.outcome.kind == "done" else {}
    after = {key.removeprefix(_PREFIX): new for key, (_, new) in changes.items() if key.startswith(_PREFIX)}
    if not after:
        return None
    return AnnotatedUnit(entry.at, entry.intent.actor, entry.intent.image_uuid, after)
