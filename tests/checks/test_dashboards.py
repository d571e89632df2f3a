"""The committed dashboards are what the program builds, keep the rules of dashboard-linter, and name what exists."""

import re
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from grafana.build import DASHBOARDS, text, write
from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.resources import FAMILIES
from tests.support.dashboards import (
    FILES,
    GRAFANA,
    Asked,
    Json,
    asked,
    boards,
    filled,
    panels,
    placeholders,
    variables,
)

BOARDS = boards()
EVERY = [each for name, board in BOARDS.items() for each in asked(name, board)]
GLOBAL = {"__rate_interval": "1m", "__range": "1h"}  # Grafana's own variables that the queries use
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {
    "bool_yes_no",
    "bytes",
    "dateTimeAsIso",
    "dateTimeFromNow",
    "none",
    "ops",
    "percentunit",
    "reqps",
    "s",
    "short",
}
SCRAPED = {
    "job",
    "instance",
    "cluster",
}  # labels that Prometheus puts to all series, and one that many installations have

each_board = pytest.mark.parametrize("name", BOARDS)
each_query = pytest.mark.parametrize("query", EVERY, ids=str)


def all_panels() -> list[Any]:
    return [
        pytest.param(panel, id=f"{name}/{panel['title']}") for name, board in BOARDS.items() for panel in panels(board)
    ]


each_panel = pytest.mark.parametrize("panel", all_panels())
each_table = pytest.mark.parametrize("panel", [each for each in all_panels() if each.values[0]["type"] == "table"])


def known_labels() -> dict[str, set[str]]:
    """The labels of every series of the daemon, by name; the suffixes of histograms and counters with it."""
    own = {family.name: set(family.identity) | set(family.labels) for family in FAMILIES if family.kind != "histogram"}
    found = own | {
        f"{family.name}_{suffix}": {*family.identity, *(["le"] if suffix == "bucket" else [])}
        for family in FAMILIES
        if family.kind == "histogram"
        for suffix in ("bucket", "count", "sum")
    }
    request = {"route", "method", "code"}
    for family in SelfMetrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        of_samples = {label for sample in family.samples for label in sample.labels}
        of_family = of_samples | (request if family.type == "histogram" else set())
        found |= {family.name + suffix: of_family | ({"le"} if suffix == "_bucket" else set()) for suffix in suffixes}
    return found


# Those of an alert are the labels of what it is about
KNOWN = known_labels() | {"ALERTS": {"alertname", "alertstate", "severity", "controller", "image_uuid"}}


def selectors(query: Asked) -> list[promql_parser.VectorSelector]:
    """What the query reads; Raises: ValueError when it is no PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)

    ranges = re.sub(r"\$__\w+", lambda each: GLOBAL[each[0][1:]], query.query)  # the others stand in quotes
    promql_parser.walk(promql_parser.parse(ranges), visit)
    return found


def test_the_files_are_what_the_program_builds(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name for path in FILES} == {path.name for path in tmp_path.iterdir()}
    for path in FILES:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), f"{path.name}: python -m grafana"


def test_the_program_builds_the_same_twice() -> None:
    assert all(text(name) == text(name) for name in DASHBOARDS)


@each_board
def test_a_dashboard_has_a_fixed_uid_and_a_data_source_variable_first(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == f"avi-upgrade-monitor-{name}"
    assert board["title"]
    assert board["description"]
    assert board["refresh"] in {"10s", "30s"}
    first, *_ = board["templating"]["list"]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")


@each_board
def test_the_variable_datasource_is_used_everywhere(name: str) -> None:
    board = BOARDS[name]
    places = [*panels(board), *variables(board), *board["annotations"]["list"]]
    places += [target for panel in panels(board) for target in panel["targets"]]
    assert [place["datasource"] for place in places] == [SOURCE] * len(places)


@each_board
def test_variables_are_refreshed_labelled_and_all_used(name: str) -> None:
    board = BOARDS[name]
    assert all(variable["refresh"] == 2 and variable["label"] for variable in variables(board))
    declared = {variable["name"] for variable in variables(board)}
    used = {each for query in asked(name, board) for each in placeholders(query.query)}
    assert declared == used - GLOBAL.keys()


@each_panel
def test_a_panel_has_a_title_a_description_and_a_unit(panel: Json) -> None:
    assert panel["title"]
    assert re.search(r"[a-z]\.$", panel["description"])
    defaults = panel["fieldConfig"]["defaults"]
    overridden = [prop for each in panel["fieldConfig"].get("overrides", ()) for prop in each["properties"]]
    units = {defaults["unit"], *(prop["value"] for prop in overridden if prop["id"] == "unit")}
    assert units <= UNITS


@each_table
def test_every_column_with_an_override_exists(panel: Json) -> None:
    """An override by a name that no column has is a column that was renamed."""
    organized = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
    titles = {title for each in organized for title in each["renameByName"].values()}
    matchers = [each["matcher"] for each in panel["fieldConfig"].get("overrides", ())]
    assert {each["options"] for each in matchers if each["id"] == "byName"} <= titles
    assert {each["displayName"] for each in panel["options"].get("sortBy", ())} <= titles


@each_table
def test_the_fields_of_a_table_have_the_names_that_grafana_gives_them(panel: Json) -> None:
    refs = [target["refId"] for target in panel["targets"]]
    assert refs == sorted(set(refs))
    for each in panel.get("transformations", ()):
        if each["id"] == "organize" and "indexByName" in each["options"]:
            values = {field for field in each["options"]["indexByName"] if field.startswith("Value")}
            assert values == ({"Value"} if len(refs) == 1 else {f"Value #{ref}" for ref in refs})


@each_board
def test_panels_are_numbered_and_do_not_overlap(name: str) -> None:
    every = BOARDS[name]["panels"]
    numbers = [panel["id"] for panel in every]
    assert numbers == sorted(set(numbers))
    cells = [rectangle(panel["gridPos"]) for panel in every]
    assert all(0 <= left < right <= 24 and top < bottom for left, right, top, bottom in cells)
    assert [pair for pair in combinations(cells, 2) if overlap(*pair)] == []


Rectangle = tuple[int, int, int, int]


def rectangle(grid: Json) -> Rectangle:
    return grid["x"], grid["x"] + grid["w"], grid["y"], grid["y"] + grid["h"]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def test_no_two_panels_of_a_dashboard_have_one_title() -> None:
    names = [str(query) for query in EVERY]
    assert sorted(names) == sorted(set(names))


@each_board
def test_rows_of_panels_fill_the_width(name: str) -> None:
    tops: dict[int, int] = {}
    for panel in BOARDS[name]["panels"]:
        tops[panel["gridPos"]["y"]] = tops.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
    assert set(tops.values()) == {24}
    assert all(above < below for above, below in pairwise(tops))


@each_query
def test_a_query_names_metrics_and_labels_that_exist(query: Asked) -> None:
    found = selectors(query)
    assert found
    for selector in found:
        assert selector.name in KNOWN
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= KNOWN[selector.name] | SCRAPED, selector.name


@each_query
def test_no_job_and_no_instance_is_fixed(query: Asked) -> None:
    matchers = [matcher for selector in selectors(query) for matcher in selector.matchers.matchers]
    assert all(matcher.value == f"${matcher.name}" for matcher in matchers if matcher.name in SCRAPED)


@each_query
def test_rates_are_over_the_rate_interval(query: Asked) -> None:
    over = re.findall(r"(\w+)\((?:[^()]*)\[(.*?)\]", query.query)
    assert len(over) == query.query.count("[")
    wanted = {"rate": "$__rate_interval", "increase": "$__rate_interval", "max_over_time": "$__range"}
    assert all(wanted[function] == interval for function, interval in over)


@each_query
def test_a_variable_of_several_values_is_matched_by_a_pattern(query: Asked) -> None:
    several = {each["name"] for each in variables(BOARDS[query.board]) if each.get("multi")}
    for selector in selectors(query):
        for matcher in selector.matchers.matchers:
            if placeholders(matcher.value) & several:
                assert matcher.op == promql_parser.MatchOp.Re


def test_every_family_is_on_a_panel() -> None:
    shown = {selector.name or "" for query in EVERY if query.kind == "panel" for selector in selectors(query)}
    suffixes = "_bucket", "_count", "_sum"
    names = shown | {name.removesuffix(suffix) for name in shown for suffix in suffixes}
    own = {name for name in KNOWN if name.startswith("avi_upgrade_monitor_") and not name.endswith(suffixes)}
    assert {family.name for family in FAMILIES} | own <= names


def test_links_name_dashboards_and_variables_that_exist() -> None:
    by_uid = {board["uid"]: board for board in BOARDS.values()}
    urls = [link["url"] for panel in all_panels() for link in links_of(panel.values[0])]
    assert urls
    for url in urls:
        path, _, query = url.partition("?")
        target = by_uid[path.removeprefix("/d/")]
        given = set(re.findall(r"var-(\w+)=|\$\{(\w+):queryparam\}", query))
        names = {each["name"] for each in target["templating"]["list"]}
        assert {own or kept for own, kept in given} == names
        assert "${__url_time_range}" in query.split("&")


def links_of(panel: Json) -> list[Json]:
    properties = [prop for each in panel["fieldConfig"].get("overrides", ()) for prop in each["properties"]]
    return [link for prop in properties if prop["id"] == "links" for link in prop["value"]]


@each_board
def test_the_dashboards_link_to_each_other(name: str) -> None:
    (link,) = (link for link in BOARDS[name]["links"] if link["type"] == "dashboards")
    assert set(link["tags"]) <= set.intersection(*(set(board["tags"]) for board in BOARDS.values()))
    assert link["keepTime"]


@each_board
def test_a_dashboard_switches_to_utc_and_back(name: str) -> None:
    """A link to another dashboard, or one that loses what was chosen."""
    links = {link["title"]: link for link in BOARDS[name]["links"]}
    for title, timezone in (("UTC", "utc"), ("Local time", "browser")):
        assert links[title]["url"] == f"/d/{BOARDS[name]['uid']}?timezone={timezone}"
        assert links[title]["keepTime"]
        assert links[title]["includeVars"]


@each_board
def test_a_dashboard_leads_to_the_place_on_the_page_that_shows_the_same(name: str) -> None:
    """A place that the page does not know, and a variable that the dashboard does not have."""
    (live,) = (link for link in BOARDS[name]["links"] if link["title"] == "Live")
    page, _, place = live["url"].partition("/")
    assert page == "${page}"
    known = {"image": r"#/image/[^/]+/[^/?]+", "upgrade": r"#/upgrade/[^/?]+"}  # as place.js reads them
    assert re.fullmatch(known.get(name, ""), place)
    declared = {each["name"] for each in BOARDS[name]["templating"]["list"]}
    assert placeholders(live["url"]) <= declared


def test_the_image_is_chosen_by_name_and_filtered_by_uuid() -> None:
    image = variables(BOARDS["image"])[-1]
    pattern = image["regex"].strip("/").replace("(?<", "(?P<")
    line = '{controller="fra",image="31.1.1-9122",image_uuid="image-7"} 1.7e+09 1700000000000'
    found = re.search(pattern, line)
    assert found
    assert found.groupdict() == {"text": "31.1.1-9122", "value": "image-7"}


@pytest.mark.parametrize("path", sorted(GRAFANA.glob("provisioning/*/*.yml")), ids=lambda path: path.parent.name)
def test_the_provisioning_files_have_the_form_that_grafana_reads(path: Path) -> None:
    written = yaml.safe_load(path.read_text())
    assert written["apiVersion"] == 1
    (entry,) = written["providers" if path.parent.name == "dashboards" else "datasources"]
    assert entry["type"] == ("file" if path.parent.name == "dashboards" else "prometheus")


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("up{job=$jbo}", {"job": "avi"})
