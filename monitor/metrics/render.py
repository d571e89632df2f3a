"""
Renders objects, and the health of controllers, to exposition text within budgets. Pure.

The text is kept until the object changes. A budget limits the number of series; it drops the finest tier of families
first: per-task detail, then counts per node, then whole objects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from monitor.metrics.family import CORE, DETAIL, NODE, Family, Subject, escape
from monitor.metrics.scrape_order import AnyFamily
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.tracked import RenderedObject, Tracked
from monitor.model.upgrade import Overview

T = TypeVar("T", bound=Tracked)
H = TypeVar("H", SessionHealth, ReadHealth, Overview)


def header(family: AnyFamily, *, openmetrics: bool) -> bytes:
    """Return ``# HELP`` and ``# TYPE``; OpenMetrics names a counter without ``_total``, and escapes quotes."""
    name = family.name.removesuffix("_total") if openmetrics and family.kind == "counter" else family.name
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    text = text.replace('"', r"\"") if openmetrics else text
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n".encode()


def render_object(
    families: Sequence[Family[Subject[T]]], controller: str, subject: Subject[T], *, finest_tier: int, max_series: int
) -> RenderedObject:
    """Render the families of one object up to ``finest_tier``; drop the finest where it exceeds ``max_series``."""
    tracked = subject.object
    identity = _identity(controller, tracked)
    dropped = 0
    if finest_tier == DETAIL and len(tracked.events) > max_series:  # counting is cheaper than rendering
        finest_tier = NODE
        dropped = sum(len(tuple(family.rows(subject))) for family in families if family.tier == DETAIL)
    lines, series = [], [0, 0, 0]
    for family in families:
        text = family.render(identity, subject) if family.tier <= finest_tier else b""
        lines.append(text)
        series[family.tier] += text.count(b"\n")
    rendered = RenderedObject(
        tuple(lines), (series[0], series[1], series[2]), tracked.drop_order, tracked.never_dropped, dropped
    )
    for tier in (DETAIL, NODE):
        if sum(rendered.series) > max_series:
            rendered = replace(drop_tier(families, rendered, tier), dropped=rendered.dropped + rendered.series[tier])
    return rendered


def render_again(
    families: Sequence[Family[Subject[T]]], rendered: RenderedObject, controller: str, subject: Subject[T]
) -> RenderedObject:
    """Render the families that change alone; the others cannot be rendered without the events of the object."""
    if not rendered.lines or not sum(rendered.series):
        return rendered  # a budget dropped the whole object
    identity = _identity(controller, subject.object)
    lines = [
        family.render(identity, subject) if family.changes_alone else text
        for family, text in zip(families, rendered.lines, strict=True)
    ]
    core, node, detail = rendered.series
    added = sum(
        new.count(b"\n") - old.count(b"\n") for new, old in zip(lines, rendered.lines, strict=True) if new is not old
    )
    return replace(rendered, lines=tuple(lines), series=(core + added, node, detail))


def _identity(controller: str, tracked: Tracked) -> tuple[str, ...]:
    return tuple(map(escape, (controller, *tracked.identity)))


def drop_tier(families: Sequence[AnyFamily], rendered: RenderedObject, tier: int) -> RenderedObject:
    """Return the object without the series of one tier. To drop CORE is to drop the whole object."""
    dropped = {CORE, NODE, DETAIL} if tier == CORE else {tier}
    pairs = zip(families, rendered.lines, strict=True)
    lines = tuple(b"" if family.tier in dropped else text for family, text in pairs)
    core, node, detail = (0 if each in dropped else rendered.series[each] for each in (CORE, NODE, DETAIL))
    return replace(rendered, lines=lines, series=(core, node, detail))


def apply_budget(
    families: Sequence[AnyFamily], objects: Mapping[str, RenderedObject], *, max_series: int
) -> tuple[Mapping[str, RenderedObject], int]:
    """
    Drop series of one controller's objects until at most ``max_series`` are left. Returns: objects, dropped series.

    Detail is dropped first, then the counts per node, then whole objects that may be; in each step in ``drop_order``.
    """
    total = sum(sum(rendered.series) for rendered in objects.values())
    if total <= max_series:
        return objects, 0
    kept, dropped = dict(objects), 0
    for tier in (DETAIL, NODE, CORE):
        having = [uuid for uuid in kept if kept[uuid].series[tier] and not (tier == CORE and kept[uuid].never_dropped)]
        for uuid in sorted(having, key=lambda uuid: kept[uuid].drop_order):
            if total - dropped <= max_series:
                return kept, dropped
            before = kept[uuid]
            kept[uuid] = drop_tier(families, before, tier)
            dropped += sum(before.series) - sum(kept[uuid].series)
    return kept, dropped


def join_by_family(families: Sequence[AnyFamily], objects: Iterable[RenderedObject]) -> Iterator[bytes]:
    """Join the lines of all objects of one controller, to one text for each family."""
    rows = [rendered.lines for rendered in objects]
    return map(b"".join, zip(*rows, strict=True)) if rows else iter((b"",) * len(families))


def render_health(families: Sequence[Family[H]], identity: Sequence[str], health: H) -> tuple[bytes, ...]:
    """Return the text of each family of one health struct. ``identity``: the label values, not escaped."""
    escaped = tuple(map(escape, identity))
    return tuple([family.render(escaped, health) for family in families])


def render_changes(
    families: Sequence[Family[H]], identity: Sequence[str], before: tuple[H, Sequence[bytes]], health: H
) -> tuple[bytes, ...]:
    """
    As `render_health`. ``before``: a health and its texts, which stay where a family shows the same of both.

    Where a poll changed what every poll changes, and nothing else, the other families are not even compared.
    """
    old, texts = before
    if health == old:
        return tuple(texts)
    escaped = tuple(map(escape, identity))
    if replace(old, **{field: getattr(health, field) for field in health.EACH_POLL}) == health:
        return tuple(
            [
                family.render(escaped, health) if family.each_poll else text
                for family, text in zip(families, texts, strict=True)
            ]
        )
    return tuple(
        [
            text if family.depends_on(health) == family.depends_on(old) else family.render(escaped, health)
            for family, text in zip(families, texts, strict=True)
        ]
    )
