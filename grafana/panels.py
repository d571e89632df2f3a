"""Panels with numbers, lines, timelines and bars. Tables are in `grafana.tables`."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import barchart, common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyQuery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig
from grafana_foundation_sdk.models.dashboard import Panel as BuiltPanel
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.looks import GREEN, Shade, mapped, series_color, thresholds

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Panel = Builder[BuiltPanel]
LETTERS = "ABCDEFGHIJKLMNOP"  # Grafana's names of the queries of one panel


class Ask(NamedTuple):
    """A query, and what its series are called: a template of labels, or a text."""

    query: str
    legend: str


class Drawn(Protocol):
    """What all kinds of panel have in common; the SDK gives them no base class."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: DataSourceRef) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...
    def targets(self, targets: list[Builder[AnyQuery]]) -> Self: ...


P = TypeVar("P", bound=Drawn)


class Head(NamedTuple):
    """The title and description of a panel, and its size; the grid is 24 wide."""

    title: str
    text: str
    width: int
    height: int


def framed(panel: P, head: Head, queries: Sequence[Dataquery]) -> P:
    """The panel with its head and its queries."""
    asked: list[Builder[AnyQuery]] = [
        query.datasource(SOURCE).ref_id(letter) for query, letter in zip(queries, LETTERS, strict=False)
    ]
    titled = panel.title(head.title).description(head.text).datasource(SOURCE)
    return titled.span(head.width).height(head.height).targets(asked)


def now(query: str) -> Dataquery:
    """A query at the end of the time range, in the format of a table."""
    return Dataquery().expr(query).instant().format(PromQueryFormat.TABLE)


def numbers(
    head: Head, *asks: Ask, unit: str, steps: Sequence[tuple[float, str]] = (), base: str = GREEN
) -> stat.Panel:
    """The present value, large; the colour is the value's."""
    queries = [Dataquery().expr(ask.query).legend_format(ask.legend).instant() for ask in asks]
    panel = framed(stat.Panel(), head, queries).unit(unit).thresholds(thresholds(*steps, base=base))
    last = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")
    plain = panel.reduce_options(last).graph_mode(kinds.BigValueGraphMode.NONE).no_value("–")
    text = kinds.BigValueTextMode.VALUE_AND_NAME if len(asks) > 1 else kinds.BigValueTextMode.VALUE
    return plain.text_mode(text).color_mode(kinds.BigValueColorMode.VALUE).orientation(kinds.VizOrientation.HORIZONTAL)


def words(head: Head, ask: Ask) -> stat.Panel:
    """The legend of the series, large, whatever its value is."""
    panel = numbers(head, ask, unit="none", base="text")
    return panel.text_mode(kinds.BigValueTextMode.NAME)


def state(head: Head, query: str, shades: tuple[Shade, ...]) -> stat.Panel:
    """One state as a text on its colour."""
    panel = numbers(head, Ask(query, ""), unit="none").mappings(mapped(shades))
    return panel.color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)


def lines(head: Head, *asks: Ask, unit: str) -> timeseries.Panel:
    """Values over time; the legend is a table, the largest last value first."""
    queries = [Dataquery().expr(ask.query).legend_format(ask.legend).range() for ask in asks]
    panel = framed(timeseries.Panel(), head, queries).unit(unit).min(0)
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.TABLE).show_legend(True)
    legend = legend.placement(kinds.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    return panel.legend(legend.sort_by("Last *").sort_desc(True)).tooltip(tooltip).fill_opacity(8)


def stacked(panel: timeseries.Panel, fill: int = 60) -> timeseries.Panel:
    """The series on top of each other."""
    group = common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A")
    return panel.stacking(group).fill_opacity(fill).line_width(0)


def shaded(panel: timeseries.Panel, shades: tuple[Shade, ...]) -> timeseries.Panel:
    """Series that are called as states are take their colours."""
    for shade in shades:
        panel.override_by_name(shade.text, series_color(shade.color))
    return panel


def timeline(head: Head, ask: Ask, shades: tuple[Shade, ...], *, rows: int = 20) -> statetimeline.Panel:
    """States over time, a row a series; so many rows on a page."""
    query = Dataquery().expr(ask.query).legend_format(ask.legend).range()
    panel = framed(statetimeline.Panel(), head, [query]).mappings(mapped(shades)).unit("none")
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(False)
    panel = panel.legend(legend).merge_values(True).show_value(kinds.VisibilityMode.AUTO)
    return panel.row_height(0.85).fill_opacity(85).line_width(0).per_page(rows)


def bars(head: Head, query: str, *, row: str, column: str, unit: str) -> barchart.Panel:
    """A group of bars for each value of the label ``row``, a colour for each value of ``column``."""
    panel = framed(barchart.Panel(), head, [now(query)]).unit(unit).min(0)
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(True)
    panel = panel.legend(legend.placement(kinds.LegendPlacement.BOTTOM)).orientation(kinds.VizOrientation.HORIZONTAL)
    return (
        panel.with_transformation(matrix(row, column)).x_field(f"{row}\\{column}").show_value(kinds.VisibilityMode.AUTO)
    )


def now_stacked(panel: barchart.Panel) -> barchart.Panel:
    """The bars of a row in one."""
    return panel.stacking(kinds.StackingMode.NORMAL).fill_opacity(85).line_width(0)


def matrix(row: str, column: str) -> DataTransformerConfig:
    """A line for each value of the one label, a column for each of the other."""
    options = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"}
    return DataTransformerConfig(id_val="groupingToMatrix", options=options)
