"""
From the table of rules and the settings of an installation to rules as Prometheus reads them.

A setting changes a list of labels, a selector or a number, and each stands in one form in all expressions. So they are
changed as text, without a parser of PromQL; tests ask promtool whether the result is right.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from textwrap import dedent
from typing import Any, Final

from monitor.kit.rules.links import links
from monitor.kit.rules.rule import STALLED, STALLED_S, Alert, Record, Rule
from monitor.kit.rules.settings import Settings, selects
from monitor.kit.rules.table import every_rule
from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.resources import FAMILIES

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
    return {**{key: _asking(text, settings.keep) for key, text in words.items()}, **links(alert.name, settings)}


def _asking(text: str, keep: tuple[str, ...]) -> str:
    """The same with queries that are of the alert's own installation; each ``job=%q`` has its ``.Labels.job``."""
    matchers = "".join(f", {label}=%q" for label in keep if label != "job")
    values = "".join(f" .Labels.{label}" for label in keep if label != "job")
    return text.replace("job=%q", f"job=%q{matchers}").replace(".Labels.job", f".Labels.job{values}")


def _words(seconds: int) -> str:
    """``10 minutes``."""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")) if not seconds % size
    )
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _expression(rule: Rule, settings: Settings) -> str:
    expr = dedent(rule.expr).strip().replace(STALLED_S, str(settings.stalled_after_s))
    if settings.labels:  # an alert that is read by an expression has those of its rule, which the series do not have
        expr = expr.replace(_OF_ALERTS, f"{_OF_ALERTS[:-1]}, {', '.join(name for name, _ in settings.labels)})")
    if settings.keep:
        expr = _keeping(expr, ("job", *settings.keep))
    return _selecting(expr, settings.selector) if settings.selector else expr


def _keeping(expr: str, keep: tuple[str, ...]) -> str:
    """The same with lists of the labels that stay in place of those in which the monitors of a pair differ."""

    def stays(found: re.Match[str]) -> str:
        gone = {label.strip() for label in found[2].split(",")}
        around = expr if found[1] == "ignoring" else _argument(expr, found.end())
        return f"{_INSTEAD[found[1]]} ({', '.join(dict.fromkeys((*keep, *sorted(_labels_of(around) - gone))))})"

    return _WITHOUT.sub(stays, expr)


def _argument(expr: str, at: int) -> str:
    """What stands in the parentheses that are opened next."""
    depth = 0
    for end in range(start := expr.index("(", at), len(expr)):
        depth += {"(": 1, ")": -1}.get(expr[end], 0)
        if not depth:
            return expr[start:end]
    raise ValueError(f"a parenthesis is not closed: {expr}")


def _selecting(expr: str, selector: str) -> str:
    """The same of series that the selector matches. Its job, where it has one, is the one that monitors are known by."""
    if selects(selector, "job"):
        expr = expr.replace(_OUR_JOBS, "")
    return _SERIES.sub(lambda found: f"{found[1]}{{{', '.join(filter(None, (found[2], selector)))}}}", expr)


@cache
def _labels_of(expr: str) -> frozenset[str]:
    """The labels of ours that series in an expression may have; more than that do no harm where labels stay."""
    labels = _labels_by_series()
    direct = {label for found in _SERIES.finditer(expr) for label in labels.get(found[1], ())}
    return frozenset(direct).union(*(_labels_of(_recorded()[name]) for name in _RECORDED.findall(expr)))


@cache
def _labels_by_series() -> Mapping[str, Iterable[str]]:
    own = (sample for family in SelfMetrics().registry.collect() for sample in family.samples)
    return {sample.name: sample.labels for sample in own} | {
        family.name: (*family.identity, *family.labels) for family in FAMILIES
    }


@cache
def _recorded() -> Mapping[str, str]:
    return {rule.name: rule.expr for rule in every_rule() if isinstance(rule, Record)}
