"""What a metric family is: how its samples are read off an image or a controller, and how they are written. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec
from prometheus_client.utils import floatToGoString

from monitor.model.tracked import Tracked

S = TypeVar("S")  # what a family is read off: a `Subject`, or a health
T = TypeVar("T", bound=Tracked)
Row = tuple[str, ...]  # label values in the family's order, escaped; then the value

CORE, NODE, DETAIL = range(3)  # tiers, so that a budget has something to drop: detail first, then counts per node


class Subject(NamedTuple, Generic[T]):
    """
    What the families of an object are read off. ``changed_at``: when it last moved, Unix seconds.

    ``exported``: those keys of its annotations that the configuration lets out as labels.
    """

    object: T
    changed_at: float
    annotations: Mapping[str, str] = {}
    exported: frozenset[str] = frozenset()


def number(value: float) -> str:
    """1700000000 as 1.7e+09: what every other exporter shows. Where Go's form is Python's, this is the faster way."""
    return repr(float(value)) if -1e6 < value < 1e6 else floatToGoString(value)  # type: ignore[no-untyped-call]


def optional(value: float | None) -> Iterable[Row]:
    """One sample, or none: absent beats invented."""
    return () if value is None else ((number(value),),)


class Family(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """
    One metric family.

    ``labels``: beyond those that identify the subject. ``of_annotations``: read off annotations alone. ``rows``: what
    fills ``line``. ``reads``: what they are made of; while that is equal, so are they. ``line``: a format string,
    mostly one sample; takes the identity, then a row.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    identity: tuple[str, ...]
    labels: tuple[str, ...] = ()
    tier: int = CORE
    of_annotations: bool = False
    rows: Callable[[S], Iterable[Row]]
    reads: Callable[[S], object] = lambda subject: subject
    line: str = ""

    def render(self, identity: Row, subject: S) -> bytes:
        """Exposition lines of one subject."""
        line = self.line.format
        return "".join([line(*identity, *row) for row in self.rows(subject)]).encode()


@lru_cache(maxsize=4096)  # tasks and nodes come again and again
def escape(text: str) -> str:
    """A label value as the exposition formats want it."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def line_of(name: str, labels: Sequence[str]) -> str:
    """``name{a="{0}",b="{1}"} {2}``: labels sorted by name, as every Prometheus client writes them."""
    places = sorted((label, place) for place, label in enumerate(labels))
    pairs = ",".join(f'{label}="{{{place}}}"' for label, place in places)
    return f"{name}{{{{{pairs}}}}} {{{len(labels)}}}\n"
