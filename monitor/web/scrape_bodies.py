"""The compressed text of the fleet for scrapers: compressed in a worker thread, once for those that come together."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from msgspec import Struct

from monitor.metrics import exposition
from monitor.metrics.exposition import Compressed
from monitor.metrics.render import header
from monitor.metrics.scrape_order import scrape_columns
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.polling.fleet import Fleet
from monitor.polling.resources import UPGRADE, AnyResource

Controllers = frozenset[str] | None
"""The controllers that are visible to a scraper; None: all."""


class _Body(Struct, frozen=True):
    """``publications``: of the fleet, when its pieces were taken."""

    publications: int
    text: Compressed


class ScrapeBodies:
    """Keeps the last body for each set of visible controllers and each format."""

    def __init__(self, fleet: Fleet, resources: Sequence[AnyResource]) -> None:
        self._fleet = fleet
        self._resources = tuple(resources)
        self._bodies: dict[tuple[Controllers, bool], _Body] = {}
        self._locks: defaultdict[tuple[Controllers, bool], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compress")

    def pieces(self, controllers: Controllers, *, openmetrics: bool) -> list[bytes]:
        """Return the text as it is now, in pieces."""
        return self._list_pieces(controllers, openmetrics=openmetrics)()

    def _list_pieces(self, controllers: Controllers, *, openmetrics: bool) -> Callable[[], list[bytes]]:
        """Take the entries as they are now, which do not change any more. Returns: what lists their pieces."""
        entries = [entry for entry in self._fleet.entries.values() if controllers is None or entry.name in controllers]
        watched = frozenset[str]().union(*(entry.collections for entry in entries))
        resources = tuple(each for each in self._resources if each.name in watched or each is self._resources[0])
        headers = _headers(resources, openmetrics=openmetrics)
        families = {each.name: len(each.families) for each in resources}
        return lambda: exposition.order_pieces(headers, [entry.columns(families) for entry in entries])

    async def compressed(self, controllers: Controllers, *, openmetrics: bool) -> Compressed:
        """Return the text as it is now or newer, compressed. Scrapers that come meanwhile wait for the same one."""
        key = controllers, openmetrics
        publications = self._fleet.publications
        async with self._locks[key]:
            body = self._bodies.get(key)
            if body is None or body.publications < publications:
                publications = self._fleet.publications
                pieces = self._list_pieces(controllers, openmetrics=openmetrics)
                text = await asyncio.get_running_loop().run_in_executor(
                    self._executor, lambda: exposition.compress(pieces())
                )
                body = self._bodies[key] = _Body(publications, text)
        return body.text


@cache
def _headers(resources: tuple[AnyResource, ...], *, openmetrics: bool) -> tuple[bytes, ...]:
    """One for each column of the scrape; empty where a column continues the family before it."""
    columns = scrape_columns(
        [resource.families for resource in resources], OVERVIEW_FAMILIES if UPGRADE in resources else ()
    )
    return tuple(header(family, openmetrics=openmetrics) if family else b"" for family in columns)
