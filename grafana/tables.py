"""Tables: one query a column, joined on the labels that the queries share."""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from grafana.looks import EVENT_STATES, Shade, colored
from grafana.panels import LETTERS, Head, framed, matrix, now

Properties = tuple[DynamicConfigValue, ...]


class Column(NamedTuple):
    """
    A column: a label that comes with the queries, or the value of one of its own.

    ``title`` empty: asked for its labels alone, and the value not shown.
    """

    title: str
    label: str = ""
    query: str = ""
    properties: Properties = ()


def label(name: str, title: str, *properties: DynamicConfigValue) -> Column:
    """A label of the queries."""
    return Column(title, label=name, properties=properties)


def value(title: str, query: str, *properties: DynamicConfigValue) -> Column:
    """The value of a query."""
    return Column(title, query=query, properties=properties)


def labels_of(query: str) -> Column:
    """A query of which only the labels are shown."""
    return Column("", query=query)


def columns(head: Head, *every: Column, by: str = "", descending: bool = False) -> table.Panel:
    """The table; the columns stand in the order given, sorted by the title ``by``."""
    queries = [column.query for column in every if column.query]
    panel = (
        framed(table.Panel(), head, [now(query) for query in queries]).unit("none").show_header(True).filterable(True)
    )
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(_organized(every, len(queries)))
    for column in every:
        if column.title and column.properties:
            panel.override_by_name(column.title, list(column.properties))
    order = common.TableSortByFieldState().display_name(by).desc(descending)
    return panel.sort_by([order]) if by else panel


def cross(head: Head, query: str, *, row: str, column: str, shades: tuple[Shade, ...] = EVENT_STATES) -> table.Panel:
    """Rows × columns of two labels, each cell a state."""
    panel = (
        framed(table.Panel(), head, [now(query)])
        .unit("none")
        .show_header(True)
        .with_transformation(matrix(row, column))
    )
    titled = DataTransformerConfig(id_val="organize", options={"renameByName": {f"{row}\\{column}": row.capitalize()}})
    panel.with_transformation(titled).no_value("–")
    return panel.override_by_regexp(f"^(?!{row.capitalize()}$).*", list(colored(*shades)))


def _organized(every: Sequence[Column], queries: int) -> DataTransformerConfig:
    fields = _fields(every, queries)
    shown = {field: column.title for field, column in fields.items() if column.title}
    hidden = {"Time": True} | {field: True for field, column in fields.items() if not column.title}
    order = {field: place for place, field in enumerate(fields)}
    options = {"excludeByName": hidden, "indexByName": order, "renameByName": shown}
    return DataTransformerConfig(id_val="organize", options=options)


def _fields(every: Sequence[Column], queries: int) -> dict[str, Column]:
    """By the names that Grafana gives the fields: values are numbered by query, unless there is but one."""
    letters = iter(LETTERS)
    named = {}
    for column in every:
        if column.query:
            letter = next(letters)
            named["Value" if queries == 1 else f"Value #{letter}"] = column
        else:
            named[column.label] = column
    return named
