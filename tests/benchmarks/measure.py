"""How it is measured: two things in turn, in one run, and the medians of each; and the table that tells it."""

import gc
import time
from collections.abc import Awaitable, Callable, Iterable
from statistics import median

import msgspec

Cost = Callable[[], Awaitable[float]]
"""Do the work, and say what it cost, in seconds."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How large everything is: large enough to tell, or only large enough to run."""

    series: tuple[int, ...]
    rounds: int
    slow_rounds: int
    """Of what takes seconds a round."""
    requests: int
    """Scrapes a round."""
    polls: int
    """Polls a round."""
    started: int
    """Of how many controllers the start is measured."""
    fleet: int
    """How many controllers a large fleet has."""
    remembered: int
    """How many controllers the memory is measured with."""
    controllers: int
    """How many the whole daemon watches."""
    readers: int
    """How many follow the events."""
    changing: int
    """Of how many controllers all images change at once."""
    browsed: int
    """How many controllers the page shows."""
    groups: int
    """How many SE groups the controller has whose upgrade the page shows."""
    slack: int
    """How many times slower than this machine one that is slow is: what the promise of a key is for."""
    interval_s: float
    watched_s: float
    """For how long it is watched once every controller was polled."""


FULL = Scale(
    series=(10_000, 100_000, 300_000),
    rounds=15,
    slow_rounds=5,
    requests=20,
    polls=60,
    started=50,
    fleet=5_000,
    remembered=500,
    controllers=1_000,
    readers=500,
    changing=50,
    browsed=250,
    groups=100,
    slack=4,
    interval_s=10.0,
    watched_s=40.0,
)
TINY = Scale(
    series=(1_000,),
    rounds=1,
    slow_rounds=1,
    requests=1,
    polls=1,
    started=2,
    fleet=20,
    remembered=3,
    controllers=3,
    readers=2,
    changing=2,
    browsed=2,
    groups=14,
    slack=1,
    interval_s=0.2,
    watched_s=1.0,
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. ``figure``: what the limit is for; ``limit``: none where it is only told."""

    what: str
    ours: str
    theirs: str = ""
    figure: float
    unit: str = "x"
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the figure keeps the limit; None without one."""
        if self.limit is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        sign = ">=" if self.at_least else "<="
        limit = "" if self.limit is None else f"{sign} {self.limit:g}{self.unit}"
        return self.what, self.ours, self.theirs, f"{self.figure:.3g}{self.unit}", limit, _VERDICTS[self.met]

    def __str__(self) -> str:
        what, ours, theirs, figure, limit, verdict = self.cells()
        measured = f"{ours} : {theirs}" if theirs else ours
        return f"  {what}: {figure} ({measured})" + (f", {limit}: {verdict}" if limit else "")


_VERDICTS = {True: "met", False: "missed", None: ""}
_TITLES = ("what", "ours", "yardstick", "figure", "limit", "")


def table(rows: Iterable[Row]) -> str:
    """All rows under their titles, in columns; nothing for none."""
    cells = [row.cells() for row in rows]
    lines = [_TITLES, *cells] if cells else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


async def in_turn(rounds: int, ours: Cost, theirs: Cost) -> tuple[float, float]:
    """The medians of both, taken A B A B …, after one round of each that does not count."""
    costs: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        mine = await ours()
        costs.append((mine, await theirs()))
    return median(mine for mine, _ in costs[1:]), median(other for _, other in costs[1:])


def cpu_of(work: Callable[[], object], times: int = 1) -> Cost:
    """The processor time of this thread for one of so many runs: how long the event loop would have been held."""

    async def cost() -> float:
        gc.collect()  # what the other left behind is not ours to sweep
        started = time.thread_time()
        for _ in range(times):
            work()
        return (time.thread_time() - started) / times

    return cost


def spoken(seconds: float) -> str:
    """1.23 s, 4.56 ms."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
