"""
From an image to exposition text: one portrait an image, kept until the image changes, within budgets. Pure.

A budget drops the tiers of families from the finest: per-task detail, then counts per node, then whole images.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from monitor.metrics.controller import CONTROLLER_FAMILIES
from monitor.metrics.families import AnyFamily
from monitor.metrics.family import CORE, DETAIL, NODE, Subject, escape
from monitor.metrics.image import ANNOTATION_FAMILIES, IMAGE_FAMILIES
from monitor.model.health import Health
from monitor.model.image import RenderedImage


def header(family: AnyFamily, *, openmetrics: bool) -> bytes:
    """``# HELP`` and ``# TYPE``; OpenMetrics names a counter without its ``_total`` and escapes quotes."""
    name = family.name.removesuffix("_total") if openmetrics and family.kind == "counter" else family.name
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    text = text.replace('"', r"\"") if openmetrics else text
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n".encode()


def render_image(controller: str, subject: Subject, *, tiers: int, most: int) -> RenderedImage:
    """Render one image: the families of ``tiers`` and below, less the finest ones where it would exceed ``most``."""
    image = subject.image
    identity = escape(controller), escape(image.uuid)
    dropped = 0
    if tiers == DETAIL and len(image.events) > most:  # not even rendered: it would hold the loop
        tiers = NODE
        dropped = sum(len(tuple(family.rows(subject))) for family in IMAGE_FAMILIES if family.tier == DETAIL)
    lines, series = [], [0, 0, 0]
    for family in IMAGE_FAMILIES:
        text = family.render(identity, subject) if family.tier <= tiers else b""
        lines.append(text)
        series[family.tier] += text.count(b"\n")
    vital = image.active or image.state == "failed"
    portrait = RenderedImage(tuple(lines), (series[0], series[1], series[2]), vital, dropped)
    for tier in (DETAIL, NODE):
        if sum(portrait.series) > most:
            portrait = replace(without(portrait, tier), dropped=portrait.dropped + portrait.series[tier])
    return portrait


def annotated(portrait: RenderedImage, controller: str, subject: Subject) -> RenderedImage:
    """The same image with the lines of its annotations drawn anew; they alone need no events."""
    if not portrait.lines or not sum(portrait.series):
        return portrait  # nothing of it is shown
    identity = escape(controller), escape(subject.image.uuid)
    lines = list(portrait.lines)
    for place in ANNOTATION_FAMILIES:
        lines[place] = IMAGE_FAMILIES[place].render(identity, subject)
    more = sum(lines[place].count(b"\n") - portrait.lines[place].count(b"\n") for place in ANNOTATION_FAMILIES)
    core, node, detail = portrait.series
    return replace(portrait, lines=tuple(lines), series=(core + more, node, detail))


def without(portrait: RenderedImage, tier: int) -> RenderedImage:
    """The same image without one tier of its families; without CORE nothing is left."""
    gone = {tier} if tier else {CORE, NODE, DETAIL}
    pairs = zip(IMAGE_FAMILIES, portrait.lines, strict=True)
    lines = tuple(b"" if family.tier in gone else text for family, text in pairs)
    core, node, detail = (0 if each in gone else portrait.series[each] for each in (CORE, NODE, DETAIL))
    return replace(portrait, lines=lines, series=(core, node, detail))


def fit(portraits: Mapping[str, RenderedImage], *, most: int) -> tuple[Mapping[str, RenderedImage], int]:
    """
    Keep one controller within ``most`` series, and say how many were dropped for it.

    Detail goes first, then the counts per node, then whole images; within each, images at rest before vital ones.
    """
    total = sum(sum(portrait.series) for portrait in portraits.values())
    if total <= most:
        return portraits, 0
    kept, dropped = dict(portraits), 0
    for tier in (DETAIL, NODE, CORE):
        for uuid in sorted(kept, key=lambda uuid: kept[uuid].vital):
            if total - dropped <= most:
                return kept, dropped
            before = kept[uuid]
            kept[uuid] = without(before, tier)
            dropped += sum(before.series) - sum(kept[uuid].series)
    return kept, dropped


def gather(portraits: Iterable[RenderedImage]) -> Iterator[bytes]:
    """The text of each image family for one controller."""
    rows = [portrait.lines for portrait in portraits]
    return map(b"".join, zip(*rows, strict=True)) if rows else iter((b"",) * len(IMAGE_FAMILIES))


def render_health(controller: str, health: Health) -> Iterator[bytes]:
    """The text of each controller family for one controller."""
    identity = (escape(controller),)
    return (family.render(identity, health) for family in CONTROLLER_FAMILIES)


def render_health_again(controller: str, before: Health, health: Health) -> Iterator[bytes | None]:
    """The same, with None for a family that reads of this health what it read of the one before."""
    identity = (escape(controller),)
    return (
        None if family.reads(health) == family.reads(before) else family.render(identity, health)
        for family in CONTROLLER_FAMILIES
    )
