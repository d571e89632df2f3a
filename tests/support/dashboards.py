"""The committed dashboards, read as Grafana reads them: their queries, and what its variables put into them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

GRAFANA = Path(__file__).parents[2] / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
Json = dict[str, Any]

_VARIABLE = re.compile(r"\$([a-zA-Z_]\w*)|\$\{([a-zA-Z_]\w*)[^}]*\}")  # $1 is of a pattern in PromQL


class Asked(NamedTuple):
    """
    One query, and where it stands.

    ``kind``: panel, variable or annotation. ``legend``: a text in which ``{{label}}`` is a label of each series.
    """

    board: str
    kind: str
    title: str
    ref: str
    query: str
    legend: str = ""
    instant: bool = True

    def __str__(self) -> str:
        return f"{self.board}/{self.kind}/{self.title}/{self.ref}".rstrip("/")


def boards() -> dict[str, Json]:
    """By the names of their files."""
    return {path.stem: json.loads(path.read_text()) for path in FILES}


def panels(board: Json) -> list[Json]:
    """Those that ask something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: Json) -> list[Json]:
    """Those that are filled from Prometheus."""
    return [variable for variable in board["templating"]["list"] if variable["type"] == "query"]


def asked(name: str, board: Json) -> Iterator[Asked]:
    """Every query of a dashboard as PromQL: ``label_values`` and ``query_result`` are Grafana's own, and taken off."""
    for panel in panels(board):
        for target in panel["targets"]:
            legend, instant = target.get("legendFormat", ""), target["instant"]
            yield Asked(name, "panel", panel["title"], target["refId"], target["expr"], legend, instant)
    for variable in variables(board):
        yield Asked(name, "variable", variable["name"], "", promql_of(variable["query"]))
    for mark in board["annotations"]["list"]:
        legend = mark["titleFormat"]
        yield Asked(name, "annotation", mark["name"], "", mark["expr"], legend, instant=False)


def promql_of(variable: str) -> str:
    """The PromQL in the query of a variable."""
    found = re.fullmatch(r"label_values\((.+), (\w+)\)|query_result\((.+)\)", variable)
    assert found, variable
    return f"group by ({found[2]}) ({found[1]})" if found[1] else found[3]


def placeholders(text: str) -> set[str]:
    """The names after ``$``, Grafana's own with two underscores among them."""
    return {short or long for short, long in _VARIABLE.findall(text)}


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced. Raises: KeyError for one that is not known."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)
