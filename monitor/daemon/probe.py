"""
One whole poll of one controller, without a database and without a server: what ``check-config --probe`` shows.

It is the poll of the daemon, made by the same poller: log-in, list, decoding, fingerprints, rendering and compression.
So what would fail in the daemon fails here. Every session that is begun is logged out.
"""

from collections.abc import Callable, Mapping
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng

import structlog
from msgspec import Struct
from msgspec.structs import replace

from monitor.avi.client import Client
from monitor.avi.link import Link
from monitor.config.types import Config, Controller
from monitor.daemon.standalone import connected, make_poller
from monitor.metrics import exposition
from monitor.model.errors import BadObject, PollError, Reason
from monitor.model.tracked import Tracked
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.resources import RESOURCES, AnyResource

log = structlog.get_logger()


class ProbedResource(Struct, frozen=True):
    """
    What a poll found of one resource.

    ``failure``: why it could not be read; None: it was read. ``undecodable``: why, by uuid. ``unidentified``: objects
    without uuid. ``dropped``: series beyond the budgets.
    """

    name: str
    failure: Reason | None
    objects: tuple[Tracked, ...]
    undecodable: Mapping[str, str]
    unidentified: int
    dropped: int


class ProbeResult(Struct, frozen=True, kw_only=True):
    """
    One probe. ``error``: why the poll failed, or empty. ``certificate``: DER; None without TLS or without an answer.

    ``series``, ``body_bytes``, ``compressed_bytes``: what a scrape would have of this controller.
    ``write_error``: why the account of ``write`` cannot log in, or empty; None: there is none.
    """

    error: str
    took_s: float
    link: Link
    certificate: bytes | None
    resources: tuple[ProbedResource, ...]
    series: int
    body_bytes: int
    compressed_bytes: int
    write_error: str | None = None
    write_link: Link = Link()


async def probe(controller: Controller, config: Config, *, now: Callable[[], float], rng: Random) -> ProbeResult:
    """Poll the controller once, and log in with the account of ``write``, if it has one."""
    async with connected(controller, config, now) as (client, connector):
        entry = await _poll(controller, client, config, now=now, rng=rng)
        result = _result(entry, client.link, connector.certificate)
    if controller.write is None:
        return result
    writer = replace(controller, username=controller.write.username, password=controller.write.password)
    async with connected(writer, config, now) as (client, _):
        try:
            await client.log_in()
        except PollError as error:
            return replace(result, write_error=str(error), write_link=client.link)
        return replace(result, write_error="", write_link=client.link)


async def _poll(
    controller: Controller, client: Client, config: Config, *, now: Callable[[], float], rng: Random
) -> Entry:
    fleet = Fleet()
    await make_poller(controller, client, config, fleet, now=now, rng=rng).poll_once(late_s=0.0)
    return fleet.entries[controller.name]


def _result(entry: Entry, link: Link, certificate: bytes | None) -> ProbeResult:
    pieces, session = list(entry.columns()), entry.session
    phase, _, detail = session.cause.partition(": ")
    error = f"{session.reason} ({phase}): {detail}" if session.reason else ""
    try:
        compressed = len(exposition.compress(pieces).deflated)
    except Exception as bug:  # as in the poller: it must not stop the probes of the others
        log.exception("poll_exception")
        error, compressed = f"internal (scrape): {type(bug).__name__}", 0
    return ProbeResult(
        error=error,
        took_s=entry.session.durations_sum_s,
        link=link,
        certificate=certificate,
        resources=tuple(_resource(entry, each) for each in RESOURCES if each.name in entry.collections),
        series=sum(piece.count(b"\n") for piece in pieces),
        body_bytes=sum(map(len, pieces)),
        compressed_bytes=compressed,
    )


def _resource(entry: Entry, resource: AnyResource) -> ProbedResource:
    collection = entry.collections[resource.name]
    snapshot = collection.snapshot
    undecodable = {}
    for uuid in sorted(snapshot.undecodable):
        try:
            resource.decode(snapshot.object_list.raws[uuid])
        except BadObject as error:
            undecodable[uuid] = str(error)
    objects = tuple(tracked.object for tracked in snapshot.objects.values())
    return ProbedResource(
        resource.name,
        collection.health.reason,
        objects,
        undecodable,
        snapshot.object_list.unidentified,
        collection.health.series_dropped,
    )
