"""``GET /api/image/{uuid}/nodes``: what each node did for each task of one image."""

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from monitor.avi.image import decode_spans
from monitor.model.tracked import Event
from monitor.patching.kinds import IMAGE
from monitor.web.handlers.objects import find_object, raw_of
from monitor.web.responses import NodeEvent, NodePage


async def list_nodes(request: web.Request) -> web.Response:
    """
    The events of one image, one a (task, node). Decoded when asked for: they are not kept.

    Raises: Problem (no-such-image, ambiguous-image).
    """
    raw = msgspec.Raw(raw_of(IMAGE, *find_object(request, IMAGE)))
    events = await asyncio.to_thread(decode_spans, raw)  # it may have thousands
    return web.Response(body=msgspec.json.encode(node_page(events)), content_type="application/json")


def node_page(events: Sequence[Event]) -> NodePage:
    """Return the events with their tasks and nodes."""
    tasks = dict.fromkeys(event.task for event in events)
    nodes = sorted({event.node for event in events})
    return NodePage(list(tasks), nodes, [_shown(event) for event in events])


def _shown(event: Event) -> NodeEvent:
    return NodeEvent(
        event.task,
        event.node,
        event.state,
        event.status,
        event.message,
        event.started_at,
        event.ended_at,
        event.duration_s,
    )
