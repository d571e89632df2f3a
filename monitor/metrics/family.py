"""Metric families: how samples are taken from an object or a health struct, and how they are written. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec
from prometheus_client.utils import floatToGoString

from monitor.model.tracked import Tracked, UploadProgress

S = TypeVar("S")  # what a family exports: a `Subject`, or a struct of `monitor.model.health`
T = TypeVar("T", bound=Tracked)
Row = tuple[str, ...]  # one sample: label values in the family's order, escaped; then the value

CORE, NODE, DETAIL = range(3)  # tiers: a budget drops DETAIL (per task) first, then NODE (counts per node), then CORE


class Subject(NamedTuple, Generic[T]):
    """
    What the families of an object export: the object, and what the daemon adds to it.

    ``changed_at``: of its `ProgressMark`, Unix seconds. ``annotations``: None while they have not been read yet.
    ``exported``: their keys that become labels.
    ``progress``: as in `TrackedObject`.
    """

    object: T
    changed_at: float
    annotations: Mapping[str, str] | None = {}
    exported: frozenset[str] = frozenset()
    progress: UploadProgress | None = None


def format_number(value: float) -> str:
    """Format a value as Go and most exporters do: 1700000000 is 1.7e+09."""
    return _format(value) if value else repr(float(value))  # to the cache, 0.0 and -0.0 are one value


@lru_cache(maxsize=8192)  # a new version of an object repeats most numbers; buckets of a histogram hold the same ones
def _format(value: float) -> str:
    """``repr`` is faster where it gives the same."""
    return repr(float(value)) if -1e6 < value < 1e6 else floatToGoString(value)  # type: ignore[no-untyped-call]


def rows_of_choice(choices: Iterable[str], chosen: str) -> Iterable[Row]:
    """Return one row for each of the choices, with the label value and 1 for the one that is chosen, else 0."""
    return [(choice, "1.0" if choice == chosen else "0.0") for choice in choices]


def row_if_known(value: float | None) -> Iterable[Row]:
    """Return the row of one sample without labels; no row when the value is not known."""
    return () if value is None else ((format_number(value),),)


class Family(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """
    One metric family.

    ``identity``: the labels that identify the subject; ``labels``: those after them.
    ``tier``: when a budget drops it. ``changes_alone``: whether it exports only what changes while the object does not:
    annotations, and estimates.
    ``rows``: returns the rows of a subject. ``line``: returns the lines of one row; takes the values of the identity,
    then those of the row.
    ``depends_on``: returns the part of the subject that ``rows`` uses; while it is equal, the rows are equal.
    ``each_poll``: whether that is what every good poll changes, `EACH_POLL` of the subject.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    identity: tuple[str, ...]
    labels: tuple[str, ...] = ()
    tier: int = CORE
    changes_alone: bool = False
    rows: Callable[[S], Iterable[Row]]
    depends_on: Callable[[S], object] = lambda subject: subject
    each_poll: bool = False
    line: Callable[..., str]

    def render(self, identity: Row, subject: S) -> bytes:
        """Return the exposition lines of one subject. ``identity``: the escaped values of the identity's labels."""
        line = self.line
        return "".join([line(*identity, *row) for row in self.rows(subject)]).encode()


@lru_cache(maxsize=4096)  # the same tasks and nodes are in all images
def escape(text: str) -> str:
    """Escape a label value for both exposition formats."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def line_of(name: str, labels: Sequence[str]) -> Callable[..., str]:
    """Return the `Family.line` of ``name{a="…",b="…"} …``; labels are sorted by name, as in Prometheus clients."""
    places = sorted((label, place) for place, label in enumerate(labels))
    pairs = ",".join(f'{label}="{{_{place}}}"' for label, place in places)
    return compile_line(f"{name}{{{{{pairs}}}}} {{_{len(labels)}}}\n", values=len(labels) + 1)


def compile_line(template: str, *, values: int) -> Callable[..., str]:
    """
    Return a function that fills a template of our own, ``{_0} {_1}``, with so many values.

    It is an f-string, which takes a fourth of the time of `str.format`: that parses the template for every line.
    """
    names = ", ".join(f"_{place}" for place in range(values))
    function: Callable[..., str] = eval(f"lambda {names}: f{template!r}")  # noqa: S307  it has no text from outside
    return function
