"""What an installation may set of the rules, and which values are refused."""

import re
from typing import Final

from msgspec import Struct

from monitor.config.validation import quoted
from monitor.config.values import parse_duration_s
from monitor.polling.resources import FAMILIES

STALLED_AFTER_S: Final = 600  # as `stalled_after` in the configuration
RUNBOOKS: Final = "https://github.com/avi-upgrade-monitor/avi-upgrade-monitor/blob/main/deploy/prometheus/runbooks"
PAIR: Final = frozenset({"instance", "node", "pod"})
"""The labels in which the monitors of a pair differ."""
_OF_ALERTS: Final = frozenset({"alertname", "alertstate", "severity", "job", "instance"})
_OF_SERIES: Final = frozenset(label for family in FAMILIES for label in (*family.identity, *family.labels))

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_URL: Final = re.compile(r"https?://[\w.\-\[\]:]+(?:/[^\s?#{}]*)?", re.ASCII)
# A string as Go reads it; a matcher is a label, an operator and a string
_STRING: Final = r"""
    "(?:[^"\\\n]|\\[abfnrtv\\"]|\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}|\\u[0-9a-fA-F]{4}|\\U00[01][0-9a-fA-F]{5})*"
    |'(?:[^'\\\n]|\\[abfnrtv\\']|\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}|\\u[0-9a-fA-F]{4}|\\U00[01][0-9a-fA-F]{5})*'
    |`[^`]*`
"""
_MATCHER: Final = re.compile(rf"\s*({_LABEL.pattern})\s*(=~|!~|!=|=)\s*({_STRING})\s*", re.VERBOSE)
_NOT_RE2: Final = re.compile(r"\(\?(?:[=!]|<[=!]|>|\(|#)|\\[1-9]|[*+?}]\+")  # Python's, but not Prometheus' own


class Settings(Struct, frozen=True, kw_only=True):
    """
    What an installation sets of the rules.

    ``selector``: matchers that every series must meet, without braces. ``keep``: the labels of targets that alerts keep;
    empty: all but those of `PAIR`. ``labels``: of every alert, beside its severity. ``runbooks``, ``grafana``, ``page``:
    URLs without a slash at their end; an alert has no link to the last two where they are empty.
    """

    selector: str = ""
    keep: tuple[str, ...] = ()
    stalled_after_s: int = STALLED_AFTER_S
    labels: tuple[tuple[str, str], ...] = ()
    runbooks: str = RUNBOOKS
    grafana: str = ""
    page: str = ""


def parse_selector(text: str) -> str:
    """Return the matchers as they are. Raises: ValueError with what is wrong and what was expected."""
    if text.strip().startswith("{"):
        raise ValueError(f'found {quoted(text)}, expected matchers without braces, such as job="x"')
    at = 0
    while True:
        found = _MATCHER.match(text, at)
        if not found:
            raise ValueError(f'found {quoted(text[at:])}, expected a matcher such as job="x" or cluster=~"a|b"')
        label, operator, value = found.groups()
        if operator in {"=~", "!~"}:
            _check_pattern(label, value[1:-1])
        at = found.end()
        if at == len(text):
            return text.strip()
        if text[at] != ",":
            raise ValueError(f"found {quoted(text[at:])} after the matcher of {label}, expected a comma or the end")
        at += 1


def selects(selector: str, label: str) -> bool:
    """Whether one of the matchers is of this label."""
    return any(found[1] == label for found in _MATCHER.finditer(selector))


def parse_stalled_s(text: str) -> int:
    """Return whole seconds. Raises: ValueError."""
    try:
        seconds = parse_duration_s(text)
    except ValueError:
        seconds = 0.0
    if seconds < 1 or seconds % 1:
        raise ValueError(f"found {quoted(text)}, expected a duration of whole seconds, such as 90s, 15m or 1h30m")
    return int(seconds)


def parse_url(text: str) -> str:
    """Return the URL without slashes at its end. Raises: ValueError."""
    if not _URL.fullmatch(text):
        raise ValueError(
            f"found {quoted(text)}, expected an http or https URL without a query, such as https://host/path"
        )
    return text.rstrip("/")


def parse_keep(text: str) -> tuple[str, ...]:
    """Return the labels between the commas. Raises: ValueError."""
    labels = tuple(each.strip() for each in text.split(","))
    for label in labels:
        _check_label(label)
        if label in PAIR:
            raise ValueError(
                f"found {label}, expected none of instance, node and pod: the monitors of a pair differ in it"
            )
    return labels


def parse_label(text: str) -> tuple[str, str]:
    """Return name and value of ``team=net``. Raises: ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise ValueError(f"found {quoted(text)}, expected name=value")
    _check_label(name)
    if name in _OF_ALERTS | _OF_SERIES:
        raise ValueError(f"found {name}, expected another name: alerts have that label already")
    if "{{" in value:
        raise ValueError(f"found {quoted(value)}, expected a text and no template")
    return name, value


def _check_label(name: str) -> None:
    if not _LABEL.fullmatch(name) or name.startswith("__"):
        raise ValueError(f"found {quoted(name)}, expected the name of a label: letters, digits and _, no digit first")


def _check_pattern(label: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"found {quoted(pattern)} for {label}, expected a regular expression ({error})") from error
    if _NOT_RE2.search(pattern):
        raise ValueError(
            f"found {quoted(pattern)} for {label}, expected a regular expression of RE2: no look-around or back-reference"
        )
