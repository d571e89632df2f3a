"""``python -m tests.benchmarks``: every promise that has a figure, measured side by side with what it is a ratio of."""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.util import find_spec
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
    upgrading,
    watching,
)
from tests.benchmarks.children import hush
from tests.benchmarks.measure import FULL, TINY, Row, Scale, table

MEASURES: Final[Mapping[str, Callable[[Scale], AsyncIterator[Row]]]] = {
    "scrape": scraping.measure,
    "http": serving.measure,
    "poll": polling.measure,
    "hold": holding.measure,
    "publish": publishing.measure,
    "memory": remembering.measure,
    "fleet": watching.measure,
    "readers": following.measure,
    "page": browsing.measure,
    "night": upgrading.measure,
}

_MIX = """\
Times are processor time, medians of runs in turn. A busy controller has 18 images that ended long ago, one under way
and one that failed, these two with the detail of 3 nodes × 6 tasks; an idle one has 20 that ended long ago."""


async def rows_of(names: tuple[str, ...], scale: Scale) -> list[Row]:
    """Measure these, telling which."""
    rows: list[Row] = []
    for name in names:
        click.echo(f"measuring {name} …", err=True)
        rows += [row async for row in MEASURES[name](scale)]
    return rows


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(MEASURES)), help="Measure this alone; may be repeated.")
@click.option("--tiny", is_flag=True, help="So small that the figures mean nothing; to see that it runs.")
def main(only: tuple[str, ...], *, tiny: bool) -> None:
    """Measure, and print one table. Nothing leaves the loopback interface."""
    hush()
    rows = asyncio.run(rows_of(only or tuple(MEASURES), TINY if tiny else FULL))
    python = f"Python {platform.python_version()} on {platform.machine()}"
    speed = "with" if find_spec("isal") else "without"
    click.echo(f"\n{python}, asyncio's own event loop, {speed} isal.\n{_MIX}\n")
    click.echo(table(rows))


if __name__ == "__main__":
    main()
