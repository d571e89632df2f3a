"""Rules as text: as files of Prometheus, as a PrometheusRule of its operator, or for mimirtool."""

import re
from collections.abc import Mapping
from textwrap import indent, wrap
from typing import Any, Final, Literal

import yaml

from monitor.kit.rules.render import rendered
from monitor.kit.rules.rule import Group, RuleFile
from monitor.kit.rules.settings import Settings
from monitor.kit.rules.table import FILES

Format = Literal["prometheus", "operator", "mimir"]

_NAME: Final = "avi-upgrade-monitor"
_WIDTH: Final = 112
_NO_BREAK: Final = "\ue000"  # stands for a space where the line must not end; of the private area, so in no text


class _Dumper(yaml.SafeDumper):
    """Writes expressions and texts as they are read best."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else ">" if len(text) > _WIDTH and " " in text else None
    if style == ">":  # no line ends within an action of a template
        text = re.sub(r"\{\{.*?\}\}", lambda action: action[0].replace(" ", _NO_BREAK), text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def rule_files(settings: Settings, format_: Format) -> Mapping[str, str]:
    """
    Write the rules. Returns: texts by the names of their files.

    Prometheus gets three files that do not need each other; Kubernetes and Mimir one.
    """
    if format_ == "prometheus":
        return {file.name: _file(file, settings) for file in FILES}
    groups = "".join(_group(group, settings) for file in FILES for group in file.groups)
    if format_ == "mimir":
        return {f"{_NAME}.yml": f"namespace: {_NAME}\ngroups:\n{groups}"}
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": _NAME}}
    return {"prometheusrule.yml": f"{_dump(head)}spec:\n  groups:\n{indent(groups, '  ')}"}


def all_rules(settings: Settings, format_: Format) -> str:
    """Write all rules as one document."""
    if format_ != "prometheus":
        (text,) = rule_files(settings, format_).values()
        return text
    return "groups:\n" + "".join(_group(group, settings) for file in FILES for group in file.groups)


def _file(file: RuleFile, settings: Settings) -> str:
    groups = "\n".join(_group(group, settings) for group in file.groups)
    return f"{_comment(file.head)}groups:\n{groups}"


def _group(group: Group, settings: Settings) -> str:
    rules = (_comment(_folded(rule.comment)) + _dump([rendered(rule, settings)]) for rule in group.rules)
    return f"  - name: {group.name}\n    rules:\n" + indent("\n".join(rules), "      ")


def _folded(comment: str) -> str:
    return "\n".join(wrap(" ".join(comment.split()), _WIDTH))


def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _dump(value: Any) -> str:  # noqa: ANN401  what YAML can hold
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text.replace(_NO_BREAK, " ")
