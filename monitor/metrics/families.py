"""
All metric families, in the order of a scrape. Pure.

The scrape, the README's table, ``avi-upgrade-monitor metrics`` and the tests are made from these tables.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from monitor.metrics.controller import READ_FAMILIES, SESSION_FAMILIES
from monitor.metrics.family import Family

AnyFamily: TypeAlias = Family[Any]  # what it is read off differs from table to table


def scrape_columns(object_families: Sequence[Sequence[AnyFamily]]) -> tuple[AnyFamily | None, ...]:
    """
    What each column of a scrape holds: the text of one family, of every controller.

    ``object_families``: the families of each polled kind of object. None: the column goes on with the family before it,
    as a family of `READ_FAMILIES` has one column a kind.
    """
    columns: list[AnyFamily | None] = [family for families in object_families for family in families]
    for family in READ_FAMILIES:
        columns += [family, *[None] * (len(object_families) - 1)]
    return (*columns, *SESSION_FAMILIES)


def families_of(object_families: Iterable[Sequence[AnyFamily]]) -> tuple[AnyFamily, ...]:
    """Every family once, in the order of a scrape."""
    return (*(family for families in object_families for family in families), *READ_FAMILIES, *SESSION_FAMILIES)
