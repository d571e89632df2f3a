"""
From the table of rules and the settings of an installation to rules as Prometheus reads them.

A setting changes a list of labels, a selector or a number, and each stands in one form in all expressions. So they are
changed as text, without a parser of PromQL; tests ask promtool whether the result is right.
"""

import re
from collections.abc import Mapping
from functools import cache
from textwrap import dedent
from typing import Any, Final

from monitor.kit.rules.rule import STALLED, STALLED_S, Alert, Record, Rule
from monitor.kit.rules.settings import Settings, selects
from monitor.kit.rules.table import every_rule
from monitor.polling.resources import FAMILIES

RUNBOOKS: Final = "https://github.com/avi-upgrade-monitor/avi-upgrade-monitor/blob/main/deploy/prometheus/runbooks"

_SERIES: Final = re.compile(r"(?<![:\w\"])(avi_\w+|up)\b(?!:)(?:\{([^}]*)\})?")
_RECORDED: Final = re.compile(r"\b[a-z_]+:\w+:\w+")
_WITHOUT: Final = re.compile(r"\b(without|ignoring) \(([^)]*\binstance\b[^)]*)\)")
_OF_ALERTS: Final = "without (alertname, alertstate, severity)"
_OUR_JOBS: Final = 'job=~"(.+/)?avi-upgrade-monitor.*"'
_INSTEAD: Final = {"without": "by", "ignoring": "on"}


def rendered(rule: Rule, settings: Settings) -> dict[str, Any]:
    """A rule as it is written to YAML."""
    expr = _expression(rule, settings)
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": expr}
    return {
        "alert": rule.name,
        "expr": expr,
        **({"for": rule.lasting} if rule.lasting else {}),
        "labels": {"severity": rule.severity, **dict(settings.labels)},
        "annotations": _annotations(rule, settings),
    }


def _annotations(alert: Alert, settings: Settings) -> dict[str, str]:
    texts = {"summary": alert.summary, "description": alert.description}
    folded = {key: " ".join(text.split()) for key, text in texts.items()}
    words = {key: text.replace(STALLED, _words(settings.stalled_after_s)) for key, text in folded.items()}
    return words | {"runbook_url": f"{RUNBOOKS}/{alert.name}.md"}


def _words(seconds: float) -> str:
    """``10 minutes``."""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")) if not seconds % size
    )
    count = round(seconds / size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _expression(rule: Rule, settings: Settings) -> str:
    expr = dedent(rule.expr).strip().replace(STALLED_S, f"{settings.stalled_after_s:g}")
    if settings.labels:  # an alert that is read by an expression has those of its rule, which the series do not have
        expr = expr.replace(_OF_ALERTS, f"{_OF_ALERTS[:-1]}, {', '.join(name for name, _ in settings.labels)})")
    if settings.keep:
        expr = _keeping(expr, ("job", *settings.keep), _labels_of(rule.name))
    return _selecting(expr, settings.selector) if settings.selector else expr


def _keeping(expr: str, keep: tuple[str, ...], own: frozenset[str]) -> str:
    """The same with lists of the labels that stay in place of those in which the monitors of a pair differ."""

    def stays(found: re.Match[str]) -> str:
        gone = {label.strip() for label in found[2].split(",")}
        return f"{_INSTEAD[found[1]]} ({', '.join(dict.fromkeys((*keep, *sorted(own - gone))))})"

    return _WITHOUT.sub(stays, expr)


def _selecting(expr: str, selector: str) -> str:
    """The same of series that the selector matches. Its job, where it has one, is the one that monitors are known by."""
    if selects(selector, "job"):
        expr = expr.replace(_OUR_JOBS, "")
    return _SERIES.sub(lambda found: f"{found[1]}{{{', '.join(filter(None, (found[2], selector)))}}}", expr)


@cache
def _labels_of(name: str) -> frozenset[str]:
    """The labels of ours that a series in the expression of a rule may have; with those of rules that it reads."""
    expr = _rules_by_name()[name].expr
    families = {family.name: {*family.identity, *family.labels} for family in FAMILIES}
    direct = {label for found in _SERIES.finditer(expr) for label in families.get(found[1], ())}
    return frozenset(direct).union(*(_labels_of(found) for found in _RECORDED.findall(expr)))


@cache
def _rules_by_name() -> Mapping[str, Rule]:
    return {rule.name: rule for rule in every_rule()}
