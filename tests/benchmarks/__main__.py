"""``python -m tests.benchmarks``: every promise that has a figure, measured side by side with what it is a ratio of."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from importlib.util import find_spec
from itertools import chain
from typing import Final

import click

from tests.benchmarks import (
    browsing,
    following,
    holding,
    polling,
    publishing,
    remembering,
    scraping,
    serving,
    starting,
    today,
    upgrading,
    watching,
)
from tests.benchmarks.children import hush
from tests.benchmarks.measure import FULL, TINY, Row, Scale, table

MEASURES: Final[Mapping[str, Callable[[Scale], AsyncIterator[Row]]]] = {
    "scrape": scraping.measure,
    "http": serving.measure,
    "poll": polling.measure,
    "start": starting.measure,
    "hold": holding.measure,
    "publish": publishing.measure,
    "memory": remembering.measure,
    "fleet": watching.measure,
    "readers": following.measure,
    "page": browsing.measure,
    "night": upgrading.measure,
    "today": today.measure,
}

_MIX = """\
Times are processor time, medians of runs in turn. A busy controller has 18 images that ended long ago, one under way
and one that failed, these two with the detail of 3 nodes × 6 tasks; an idle one has 20 that ended long ago. Those of
the daemon have 12 units, too, and are polled for both; one in ten is busy. Their lists of images have 200 KB each, in
the largest fleet 20 KB."""


async def rows_of(name: str, scale: Scale) -> list[Row]:
    """Measure this; print its name, and each row as soon as it is known."""
    click.echo(f"measuring {name} …", err=True)
    rows: list[Row] = []
    async for row in MEASURES[name](scale):
        click.echo(str(row), err=True)
        rows.append(row)
    return rows


async def _tables(names: Iterable[str], scale: Scale) -> str:
    """The rows of these names in one table, and in another one what people use today."""
    rows = {name: await rows_of(name, scale) for name in names}
    today_rows = rows.pop("today", [])
    return "\n\n".join(filter(None, (table(chain(*rows.values())), table(today_rows))))


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(MEASURES)), help="Measure this alone; may be repeated.")
@click.option("--tiny", is_flag=True, help="So small that the figures mean nothing; to see that it runs.")
def main(only: tuple[str, ...], *, tiny: bool) -> None:
    """Measure; print each row when it is known, and then all in a table. Nothing leaves the loopback interface."""
    hush()
    before = os.getloadavg()[0]
    tables = asyncio.run(_tables(only or MEASURES, TINY if tiny else FULL))
    python = f"Python {platform.python_version()} on {platform.machine()}"
    speed = "with" if find_spec("isal") else "without"
    load = f"load {before:.1f} at the start and {os.getloadavg()[0]:.1f} at the end, on {os.cpu_count()} cores"
    click.echo(f"\n{python}, asyncio's own event loop where no other is named, {speed} isal; {load}.\n{_MIX}\n")
    click.echo(tables)


if __name__ == "__main__":
    main()
