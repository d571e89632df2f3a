"""What the families of objects of all resources share: how they are made, and the samples of events. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, TypeVar, get_args

from monitor.metrics.family import CORE, Family, Row, Subject, escape, format_number, line_of, row_if_known
from monitor.model.tracked import Eta, EventState, Tracked

T = TypeVar("T", bound=Tracked)


def object_gauge(
    name: str,
    text: str,
    *,
    identity: tuple[str, ...],
    rows: Callable[[Subject[T]], Iterable[Row]],
    labels: tuple[str, ...] = (),
    tier: int = CORE,
    changes_alone: bool = False,
) -> Family[Subject[T]]:
    """Return a gauge. ``identity``: the labels that identify the object, the controller's first."""
    return Family(
        name=name,
        kind="gauge",
        help=text,
        identity=identity,
        labels=labels,
        tier=tier,
        changes_alone=changes_alone,
        rows=rows,
        line=line_of(name, (*identity, *labels)),
    )


def rows_of_eta(eta: Eta | None) -> Iterable[Row]:
    """Return bound and end for each bound of an estimate; none without one."""
    ends = {"likely": eta.ends_at, "earliest": eta.earliest, "latest": eta.latest} if eta else {}
    return [(bound, format_number(at)) for bound, at in ends.items()]


def node_events(subject: Subject[T]) -> Iterable[Row]:
    """Return node, state, and how many events of the node are in that state."""
    counts = Counter((event.node, event.state) for event in subject.object.events)
    nodes = dict.fromkeys(event.node for event in subject.object.events)
    return [
        (escape(node), state, format_number(counts[node, state])) for node in nodes for state in get_args(EventState)
    ]


def row_of_annotations(read: Callable[[Mapping[str, str]], float]) -> Callable[[Subject[T]], Iterable[Row]]:
    """Return what yields one row, of what ``read`` returns for the annotations; none while they are not known."""

    def rows(subject: Subject[T]) -> Iterable[Row]:
        return row_if_known(None if subject.annotations is None else read(subject.annotations))

    return rows


def event_values(
    attribute: Literal["started_at", "ended_at", "duration_s"],
) -> Callable[[Subject[T]], Iterable[Row]]:
    """Return what yields node, task, and this attribute of each event that has it."""

    def rows(subject: Subject[T]) -> Iterator[Row]:
        for event in subject.object.events:
            value: float | None = getattr(event, attribute)
            if value is not None:
                yield escape(event.node), escape(event.task), format_number(value)

    return rows
