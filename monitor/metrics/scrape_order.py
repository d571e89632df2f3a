"""
All metric families in the order of a scrape. Pure.

The scrape, the command ``avi-upgrade-monitor metrics`` and the table in docs/reference/metrics.md follow it.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from monitor.metrics.controller import READ_FAMILIES, SESSION_FAMILIES
from monitor.metrics.family import Family

AnyFamily: TypeAlias = Family[Any]  # a family of any subject


def scrape_columns(
    object_families: Sequence[Sequence[AnyFamily]], overview_families: Sequence[AnyFamily] = ()
) -> tuple[AnyFamily | None, ...]:
    """
    Return the family of each column of a scrape. A column is one piece of text from each controller.

    ``object_families``: the families of each resource. ``overview_families``: those of what all units amount to. A
    family of `READ_FAMILIES` has one column for each resource; of these, all but the first are None: the column
    continues the family, and has no header of its own.
    """
    columns: list[AnyFamily | None] = [family for families in object_families for family in families]
    for family in READ_FAMILIES:
        columns += [family, *[None] * (len(object_families) - 1)]
    return (*columns, *SESSION_FAMILIES, *overview_families)


def families_of(
    object_families: Sequence[Sequence[AnyFamily]], overview_families: Sequence[AnyFamily] = ()
) -> tuple[AnyFamily, ...]:
    """Return every family once, in the order of a scrape."""
    return tuple(family for family in scrape_columns(object_families, overview_families) if family)
