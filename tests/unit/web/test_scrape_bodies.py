"""Bodies of scrapes: compressed once for scrapers that come together, and never older than the scrape."""

import asyncio
import gzip

from msgspec.structs import replace

from monitor.metrics.exposition import Compressed, gzip_member
from monitor.model.health import SessionHealth
from monitor.polling.fleet import Fleet
from monitor.polling.resources import RESOURCES
from monitor.web.scrape_bodies import ScrapeBodies
from tests.support.polling import entry_of


def publish(fleet: Fleet, *, polls: int, name: str = "dc1") -> None:
    """Publish a controller whose text tells how often it was polled."""
    entry = entry_of(name, {})
    pieces = (b'avi_controller_polls_total{controller="%s"} %d\n' % (name.encode(), polls),)
    fleet.publish(replace(entry, session=SessionHealth(polls=polls), pieces=pieces * 11))


def fleet_of(*names: str, polls: int = 1) -> Fleet:
    fleet = Fleet()
    for name in names:
        publish(fleet, polls=polls, name=name)
    return fleet


def text_of(body: Compressed) -> str:
    return gzip.decompress(b"".join(gzip_member(body, b""))).decode()


async def test_scrapers_that_come_together_get_one_body() -> None:
    bodies = ScrapeBodies(fleet_of("dc1"), RESOURCES)
    first, second = await asyncio.gather(*(bodies.compressed(None, openmetrics=False) for _ in range(2)))
    assert first is second
    assert await bodies.compressed(None, openmetrics=False) is first, "nothing was published"


async def test_a_change_is_in_the_next_body() -> None:
    fleet = fleet_of("dc1")
    bodies = ScrapeBodies(fleet, RESOURCES)
    assert '{controller="dc1"} 1\n' in text_of(await bodies.compressed(None, openmetrics=False))
    publish(fleet, polls=2)
    text = text_of(await bodies.compressed(None, openmetrics=False))
    assert ('{controller="dc1"} 2\n' in text, '{controller="dc1"} 1\n' in text) == (True, False)


async def test_a_removed_controller_is_not_in_the_next_body() -> None:
    fleet = fleet_of("dc1", "dc2")
    bodies = ScrapeBodies(fleet, RESOURCES)
    await bodies.compressed(None, openmetrics=False)
    fleet.remove("dc2")
    assert '"dc2"' not in text_of(await bodies.compressed(None, openmetrics=False))


async def test_a_scraper_that_comes_while_an_older_body_is_compressed_gets_a_newer_one() -> None:
    fleet = fleet_of("dc1")
    bodies = ScrapeBodies(fleet, RESOURCES)
    first = asyncio.ensure_future(bodies.compressed(None, openmetrics=False))
    await asyncio.sleep(0)  # it has taken its pieces
    publish(fleet, polls=2)
    second = await bodies.compressed(None, openmetrics=False)
    assert '{controller="dc1"} 2\n' in text_of(second)
    assert '{controller="dc1"} 2\n' not in text_of(await first), "half of a body is not of another publication"


async def test_a_scraper_that_leaves_does_not_take_the_body_from_the_others() -> None:
    bodies = ScrapeBodies(fleet_of("dc1"), RESOURCES)
    leaving, staying = (asyncio.ensure_future(bodies.compressed(None, openmetrics=False)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert '"dc1"' in text_of(await staying)


async def test_a_body_shows_what_the_scraper_may_see_in_its_format() -> None:
    bodies = ScrapeBodies(fleet_of("dc1", "dc2"), RESOURCES)
    limited = text_of(await bodies.compressed(frozenset({"dc2"}), openmetrics=False))
    assert ('"dc1"' in limited, '"dc2"' in limited) == (False, True)
    assert "# TYPE avi_controller_polls counter\n" in text_of(await bodies.compressed(None, openmetrics=True))
    assert "# TYPE avi_controller_polls_total counter\n" in text_of(await bodies.compressed(None, openmetrics=False))
