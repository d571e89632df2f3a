"""
One controller without a database and without a server: its client and its poller, as the daemon has them.

The session is logged out at the end.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng

import structlog

from monitor.avi.client import Client
from monitor.avi.connection import Connector, open_session
from monitor.avi.requester import Observer
from monitor.config.types import Config, Controller
from monitor.model.masking import KnownSecrets
from monitor.model.tracked import ProgressMark
from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations
from monitor.polling.fleet import Fleet
from monitor.polling.poller import Poller
from monitor.polling.reads import AnyTracker
from monitor.polling.resources import RESOURCES, TrackingSettings, watched
from monitor.polling.schedule import PollLimiter
from monitor.polling.tracker import Tracker

log = structlog.get_logger()


@asynccontextmanager
async def connected(
    controller: Controller,
    config: Config,
    now: Callable[[], float],
    *,
    secrets: KnownSecrets | None = None,
    observe: Observer | None = None,
) -> AsyncIterator[tuple[Client, Connector]]:
    """Yield a client of the controller, which has not logged in yet, and its connections."""
    poll = config.poll
    async with open_session(controller.tls, keepalive_s=2 * poll.idle_interval_s) as session:
        client = Client(
            controller,
            session,
            timeout_s=poll.timeout_s,
            max_response=poll.max_response,
            now=now,
            secrets=secrets,
            observe=observe,
        )
        client.units.settings = config.upgrades
        connector = session.connector
        assert isinstance(connector, Connector)  # noqa: S101  open_session made it
        try:
            yield client, connector
        finally:
            await client.log_out()


def make_poller(
    controller: Controller, client: Client, config: Config, fleet: Fleet, *, now: Callable[[], float], rng: Random
) -> Poller:
    """Return a poller that remembers nothing of earlier polls, and publishes in ``fleet``."""
    nothing, logger = _NothingKept(), log.bind(controller=controller.name)
    settings = TrackingSettings.of(config)
    trackers: list[AnyTracker] = [
        Tracker(controller.name, resource, nothing, nothing, nothing, settings=settings, log=logger)
        for resource in watched(RESOURCES, controller)
    ]
    return Poller(
        controller.name,
        client,
        fleet,
        trackers,
        poll=config.poll,
        limiter=PollLimiter(1),
        now=now,
        rng=rng,
        log=logger,
        settings=settings,
    )


class _NothingKept:
    """The stores of marks, annotations and uploads, for polls that nothing came before."""

    annotations_known = True

    def of(self, _controller: str, _resource: str) -> Mapping[str, ProgressMark]:
        return {}

    def set(self, _controller: str, _resource: str, _marks: Mapping[str, ProgressMark]) -> None:
        return

    def annotations_of(self, _controller: str) -> Mapping[str, Mapping[str, str]]:
        return {}

    def typical(self, _controller: str, _kind: str) -> TypicalDurations:
        return UNKNOWN

    def record(self, _controller: str, _kind: str, _uuid: str, _upload: CompletedUpload) -> None:
        return
