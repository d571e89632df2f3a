"""What ``readiness`` prints: a line for each thing that was looked at, and the request for pre-checks."""

from collections.abc import Mapping
from typing import Final

import msgspec
from rich.text import Text

from monitor.cli.output.tables import plain_table, print_output, safe_text
from monitor.polling.readiness import ReadinessReport
from monitor.polling.readiness_facts import Verdict

_VERDICTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "go": ("go", "green"), "warn": ("warn", "yellow"), "no_go": ("no-go", "bold red"),
}  # fmt: skip


def print_readiness(report: ReadinessReport) -> None:
    """Print the report."""
    image = report.image
    headline = safe_text(f"{report.controller}  {image.name or image.uuid}: ", "bold")
    rows = (
        (_verdict(line.verdict), Text(line.name.replace("_", " ")), safe_text(line.reason)) for line in report.lines
    )
    print_output(
        headline.append(_verdict(report.verdict)),
        "",
        plain_table(("Verdict", "About", "Why"), rows),
        "",
        *_prechecks(report),
    )


def _verdict(verdict: Verdict) -> Text:
    return Text(*_VERDICTS[verdict])


def _prechecks(report: ReadinessReport) -> tuple[Text, ...]:
    call = report.prechecks
    if call is None:
        return (Text("This Controller cannot run its pre-checks alone"),)
    body = msgspec.json.encode(call.body).decode()
    return (
        Text("To let the Controller run its own pre-checks, which change nothing, send it this:"),
        safe_text(f"{call.method} {call.path} {body}"),
    )
