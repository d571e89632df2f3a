"""What the dashboards have in common: variables, links to each other, annotations, the numbers of panels."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from grafana import looks
from grafana.panels import SOURCE, Panel
from grafana.promql import PLACE

TAG: Final = "avi-upgrade-monitor"
FLEET, IMAGE = f"{TAG}-fleet", f"{TAG}-image"  # uids; links and bookmarks name them
MONITOR, UPGRADE = f"{TAG}-monitor", f"{TAG}-upgrade"

_EVERY: Final = "avi_controller_polls_total"  # every controller always has this series
CONTROLLERS: Final = f"label_values({_EVERY}{{{PLACE}}}, controller)"
_KEPT: Final = "${datasource:queryparam}&${job:queryparam}&${cluster:queryparam}&${page:queryparam}&${__url_time_range}"
_CONTROLLER, _IMAGE = "${__data.fields.controller}", "${__data.fields.image_uuid}"
TO_IMAGE: Final = looks.linked("This image", f"/d/{IMAGE}?{_KEPT}&var-controller={_CONTROLLER}&var-image={_IMAGE}")
"""Of a cell in whose row are the fields ``controller`` and ``image_uuid``."""
TO_UPGRADE: Final = looks.linked("Its upgrade", f"/d/{UPGRADE}?{_KEPT}&var-controller={_CONTROLLER}")
"""Of a cell in whose row is the field ``controller``."""
IMAGE_OF_SERIES: Final = looks.linked(
    "This image",
    f"/d/{IMAGE}?{_KEPT}&var-controller=${{__field.labels.controller}}&var-image=${{__field.labels.image_uuid}}",
)
UPGRADE_OF_SERIES: Final = looks.linked(
    "Its upgrade", f"/d/{UPGRADE}?{_KEPT}&var-controller=${{__field.labels.controller}}"
)

PAGE: Final = "http://127.0.0.1:9972"  # where a daemon listens whose config says nothing else
DATASOURCE: Final = build.DatasourceVariable("datasource").label("Data source").type("prometheus")


class Section(NamedTuple):
    """A row of the dashboard, and the panels below it from left to right."""

    title: str
    panels: Sequence[Panel]


class Marked(model.AnnotationQuery, Builder[model.AnnotationQuery]):
    """An annotation query of Prometheus, whose own keys the SDK does not know."""

    def __init__(
        self, name: str, *, color: str, query: str, title: str, tags: str = "", at_value: bool = False
    ) -> None:
        super().__init__(name=name, datasource=SOURCE, enable=True, icon_color=color, expr=query)
        self._own = {"titleFormat": title, "tagKeys": tags, "step": "15s", "useValueForTime": at_value}
        self._target = {"expr": query, "refId": "Anno", "interval": "15s"}

    def to_json(self) -> dict[str, object]:
        """Add the keys that annotations of Prometheus need."""
        return super().to_json() | self._own | {"target": self._target}

    def build(self) -> model.AnnotationQuery:
        """Return itself, as it is its own builder."""
        return self


def choice(name: str, title: str, query: str, *, regex: str = "", ordered: bool = True) -> build.QueryVariable:
    """A variable with values from Prometheus, queried again when the time range changes: images come and go."""
    variable = build.QueryVariable(name).label(title).datasource(SOURCE).query(query)
    sort = model.VariableSort.NATURAL_ASC if ordered else model.VariableSort.DISABLED
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(sort).regex(regex)


def choices(name: str, title: str, query: str, *, all_value: str = "") -> build.QueryVariable:
    """A variable of which several values may be chosen, all of them at first; ``all_value`` empty: a list of them."""
    every = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = choice(name, title, query).multi(True).include_all(True).current(every)
    return variable.all_value(all_value) if all_value else variable


def places(family: str = _EVERY, *, job: str = ".+") -> tuple[build.QueryVariable, ...]:
    """
    The variables of `PLACE`; the second one is that of a label that targets need not have.

    ``job``: what «All» matches; empty: a list of the jobs that have the family.
    """
    return (
        choices("job", "Job", f"label_values({family}, job)", all_value=job),
        choices("cluster", "Cluster", f'label_values({family}{{job=~"$job"}}, cluster)', all_value=".*"),
    )


def framed(
    uid: str,
    title: str,
    text: str,
    *,
    page: str,
    variables: Sequence[build.QueryVariable],
    annotations: Sequence[Marked],
    sections: Sequence[Section],
    refresh: str,
    since: str,
) -> model.Dashboard:
    """
    The whole dashboard; panels are numbered from 1 in the order in which they stand.

    ``page``: the place on the page of the monitor that shows the same.
    """
    board = build.Dashboard(title).uid(uid).description(text).tags([TAG]).refresh(refresh).time(since, "now")
    board.timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR).editable()
    for link in (_others(), _live(page), _clock(uid, "UTC", "utc"), _clock(uid, "Local time", "browser")):
        board.link(link)
    board.with_variable(DATASOURCE)
    for variable in variables:
        board.with_variable(variable)
    board.with_variable(build.TextBoxVariable("page").label("Page of the monitor").default_value(PAGE))
    for mark in annotations:
        board.annotation(mark)
    _fill(board, sections)
    return _numbered(board.build())


def _fill(board: build.Dashboard, sections: Sequence[Section]) -> None:
    for section in sections:
        board.with_row(build.Row(section.title))
        for panel in section.panels:
            board.with_panel(panel)


def _numbered(board: model.Dashboard) -> model.Dashboard:
    for number, panel in enumerate(board.panels or (), 1):
        panel.id_val = number
    return board


def _others() -> build.DashboardLink:
    link = build.DashboardLink("Avi images").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.include_vars(True).keep_time(True)


def _live(place: str) -> build.DashboardLink:
    link = build.DashboardLink("Live").type(model.DashboardLinkType.LINK).icon("external link").target_blank(True)
    return link.tooltip("The same on the page of the monitor").url(f"${{page}}/{place}")


def _clock(uid: str, title: str, timezone: str) -> build.DashboardLink:
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("dashboard")
    return link.url(f"/d/{uid}?timezone={timezone}").include_vars(True).keep_time(True)
