"""
From an object to exposition text, which is kept until the object changes, within budgets. Pure.

A budget drops the tiers of families from the finest: per-task detail, then counts per node, then whole objects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from monitor.metrics.families import AnyFamily
from monitor.metrics.family import CORE, DETAIL, NODE, Family, Subject, escape
from monitor.model.tracked import RenderedObject, Tracked

T = TypeVar("T", bound=Tracked)
H = TypeVar("H")


def header(family: AnyFamily, *, openmetrics: bool) -> bytes:
    """``# HELP`` and ``# TYPE``; OpenMetrics names a counter without its ``_total`` and escapes quotes."""
    name = family.name.removesuffix("_total") if openmetrics and family.kind == "counter" else family.name
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    text = text.replace('"', r"\"") if openmetrics else text
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n".encode()


def render_object(
    families: Sequence[Family[Subject[T]]], controller: str, subject: Subject[T], *, tiers: int, most: int
) -> RenderedObject:
    """Render one object: the families of ``tiers`` and below, less the finest ones where it would exceed ``most``."""
    tracked = subject.object
    identity = escape(controller), escape(tracked.uuid)
    dropped = 0
    if tiers == DETAIL and len(tracked.events) > most:  # not even rendered: it would hold the loop
        tiers = NODE
        dropped = sum(len(tuple(family.rows(subject))) for family in families if family.tier == DETAIL)
    lines, series = [], [0, 0, 0]
    for family in families:
        text = family.render(identity, subject) if family.tier <= tiers else b""
        lines.append(text)
        series[family.tier] += text.count(b"\n")
    keep_last = tracked.active or tracked.state == "failed"
    rendered = RenderedObject(tuple(lines), (series[0], series[1], series[2]), keep_last, dropped)
    for tier in (DETAIL, NODE):
        if sum(rendered.series) > most:
            rendered = replace(drop_tier(families, rendered, tier), dropped=rendered.dropped + rendered.series[tier])
    return rendered


def render_annotations(
    families: Sequence[Family[Subject[T]]], rendered: RenderedObject, controller: str, subject: Subject[T]
) -> RenderedObject:
    """The same object with the lines of its annotations rendered anew; they alone need no events."""
    if not rendered.lines or not sum(rendered.series):
        return rendered  # nothing of it is exported
    identity = escape(controller), escape(subject.object.uuid)
    lines = [
        family.render(identity, subject) if family.of_annotations else text
        for family, text in zip(families, rendered.lines, strict=True)
    ]
    core, node, detail = rendered.series
    more = sum(
        new.count(b"\n") - old.count(b"\n") for new, old in zip(lines, rendered.lines, strict=True) if new is not old
    )
    return replace(rendered, lines=tuple(lines), series=(core + more, node, detail))


def drop_tier(families: Sequence[AnyFamily], rendered: RenderedObject, tier: int) -> RenderedObject:
    """The same object without one tier of its families; without CORE nothing is left."""
    gone = {tier} if tier else {CORE, NODE, DETAIL}
    pairs = zip(families, rendered.lines, strict=True)
    lines = tuple(b"" if family.tier in gone else text for family, text in pairs)
    core, node, detail = (0 if each in gone else rendered.series[each] for each in (CORE, NODE, DETAIL))
    return replace(rendered, lines=lines, series=(core, node, detail))


def apply_budget(
    families: Sequence[AnyFamily], objects: Mapping[str, RenderedObject], *, most: int
) -> tuple[Mapping[str, RenderedObject], int]:
    """
    Keep the objects of one controller within ``most`` series; and how many series were dropped for it.

    Detail goes first, then the counts per node, then whole objects; within each, those with ``keep_last`` go last.
    """
    total = sum(sum(rendered.series) for rendered in objects.values())
    if total <= most:
        return objects, 0
    kept, dropped = dict(objects), 0
    for tier in (DETAIL, NODE, CORE):
        for uuid in sorted(kept, key=lambda uuid: kept[uuid].keep_last):
            if total - dropped <= most:
                return kept, dropped
            before = kept[uuid]
            kept[uuid] = drop_tier(families, before, tier)
            dropped += sum(before.series) - sum(kept[uuid].series)
    return kept, dropped


def join_by_family(families: Sequence[AnyFamily], objects: Iterable[RenderedObject]) -> Iterator[bytes]:
    """The text of each family for one controller."""
    rows = [rendered.lines for rendered in objects]
    return map(b"".join, zip(*rows, strict=True)) if rows else iter((b"",) * len(families))


def render_health(families: Sequence[Family[H]], identity: Sequence[str], health: H) -> Iterator[bytes]:
    """The text of each family of a health. ``identity``: the values of the labels that identify it."""
    escaped = tuple(map(escape, identity))
    return (family.render(escaped, health) for family in families)


def render_changes(
    families: Sequence[Family[H]], identity: Sequence[str], before: H, health: H
) -> Iterator[bytes | None]:
    """As `render_health`, with None for a family that reads of this health what it read of the one before."""
    escaped = tuple(map(escape, identity))
    return (
        None if family.reads(health) == family.reads(before) else family.render(escaped, health) for family in families
    )
