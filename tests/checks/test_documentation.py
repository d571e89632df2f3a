"""The documentation is true: its tables name what there is, its config loads, its commands exist."""

import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml
from prometheus_client.metrics_core import Metric

from monitor.cli import main
from monitor.cli.commands.certificate import make_certificate
from monitor.config.access import Scope
from monitor.config.load import load
from monitor.config.reload_rules import keys_of
from monitor.config.settings import Settings, schema
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import Reason
from monitor.patching.annotations import MAX_ANNOTATIONS
from monitor.patching.body import FORMS, MAX_BODY_BYTES, MEDIA_TYPES, decode_patch
from monitor.patching.fields import ADJUSTABLE
from monitor.polling import eta
from monitor.polling.resources import FAMILIES
from monitor.polling.status import ImageStatus
from monitor.store import upload_history
from monitor.web.context import Limits
from monitor.web.problems import PROBLEM_KINDS
from monitor.web.routes import ROUTES
from monitor.web.stream import event_stream
from monitor.web.stream import messages as live
from tests.support.documentation import DOCUMENTATION, README, ROOT, page
from tests.support.rules import alerts, rules


def rows(path: str) -> list[list[str]]:
    """The cells of the tables of a page of docs, without their head lines."""
    lines = [line for line in page(path).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0].startswith("`") or "`" in row[0]]


def blocks(language: str) -> list[str]:
    """The code of this language."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


LINKING = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
LINKING += [path for folder in ("docs", "deploy") for path in sorted((ROOT / folder).rglob("*.md"))]
PATCH_BODIES = [code(row[0])[0] for row in rows("reference/patch.md") if row[0].startswith("`{")]
PATCH_BODIES += re.findall(r"curl -X PATCH .*?-d '(.*?)'", DOCUMENTATION, re.DOTALL)


def test_every_family_stands_in_the_table_as_it_is_and_no_other() -> None:
    expected = [
        [
            f"`{family.name}`",
            family.kind,
            ", ".join(f"`{label}`" for label in (*family.identity, *family.labels)),
            family.help,
        ]
        for family in FAMILIES
    ]
    assert rows("reference/metrics.md") == expected


def test_the_daemons_own_families_stand_in_the_table_with_their_types_and_labels() -> None:
    own = SelfMetrics()
    own.requested("/metrics", "GET", 200, 0.1, "my-1")
    ours = [family for family in own.registry.collect() if family.name.startswith("avi_upgrade_monitor_")]
    expected = {_name(family): (family.type, _labels(family)) for family in ours}
    table = {code(row[0])[0]: (row[1], set(code(row[2]))) for row in rows("reference/daemon-metrics.md")}
    assert table == expected


def _name(family: Metric) -> str:
    """As a scrape has it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def _labels(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def test_every_metric_named_anywhere_exists() -> None:
    known = {family.name for family in FAMILIES} | {_name(family) for family in SelfMetrics().registry.collect()}
    named = set(re.findall(r"\bavi_(?:image|controller|upgrade_monitor)_\w+", DOCUMENTATION))
    assert named - known == set()


def test_every_config_key_stands_in_the_table_with_its_default_and_no_other() -> None:
    table = {code(row[0])[0]: code(row[1])[:1] for row in rows("reference/configuration.md")}
    expected = {path: default for path, default in keys(schema()) if path != "controllers"}
    assert table.keys() == expected.keys()
    stated = {path: [default] for path, default in expected.items() if default is not None}
    assert {path: table[path] for path in stated} == stated


def test_the_table_says_which_keys_change_with_a_restart_only() -> None:
    stated = {code(row[0])[0] for row in rows("reference/configuration.md") if "changes with a restart only" in row[-1]}
    assert stated == {key.path for key in keys_of(Settings) if key.reload == "restart"}
    assert all(f"`{key}`" in page("how-to/change-the-configuration.md") for key in stated)


def keys(whole: Mapping[str, object]) -> Iterator[tuple[str, str | None]]:
    """Every leaf of the config: its path, and its default as text."""
    definitions = whole["$defs"]
    assert isinstance(definitions, dict)

    def walk(shape: Mapping[str, object], path: str) -> Iterator[tuple[str, str | None]]:
        properties = shape["properties"]
        assert isinstance(properties, dict)
        for key, field in properties.items():
            reference = str(field.get("$ref") or field.get("items", {}).get("$ref") or "").rpartition("/")[2]
            mark = "[]" if "items" in field and reference else ""
            if reference:
                yield from walk(definitions[reference], f"{path}{key}{mark}.")
            else:
                yield f"{path}{key}", _written(field["default"]) if "default" in field else None

    yield from walk(definitions["Settings"], "")


def _written(default: object) -> str | None:
    if isinstance(default, tuple):
        return str(list(default))
    return default if isinstance(default, str) else None if default is None else str(default).lower()


def test_every_route_stands_in_the_table_and_no_other() -> None:
    table = [(code(row[0])[0], row[1].strip("`")) for row in rows("reference/routes.md")]
    assert table == [(f"{route.method} {route.path}", route.scope) for route in ROUTES]


def test_every_scope_stands_in_the_table_and_no_other() -> None:
    assert [code(row[0])[0] for row in rows("reference/scopes.md")] == list(get_args(Scope))


def test_every_problem_stands_in_the_table_with_its_status_and_no_other() -> None:
    table = {code(row[0])[0]: int(row[1]) for row in rows("reference/problem-types.md")}
    assert table == {kind: status for kind, (status, _) in PROBLEM_KINDS.items()}


def test_the_adjustable_fields_and_the_limits_are_as_the_code_has_them() -> None:
    (stated,) = re.findall(r"The fields that can be changed are (.*?);", page("reference/patch.md"), re.DOTALL)
    assert code(stated) == list(ADJUSTABLE)
    assert f"at most {MAX_ANNOTATIONS} an image" in page("reference/patch.md")
    assert f"at most {MAX_BODY_BYTES // 1024} KiB" in page("reference/patch.md")
    assert all(f"`{media_type}`" in page("reference/patch.md") for media_type in MEDIA_TYPES)


def test_every_alert_stands_in_the_table_with_its_severity_and_no_other() -> None:
    table = [(code(row[0])[0], row[1]) for row in rows("reference/alerts.md") if len(row) == 3]
    assert table == [(name, alert["labels"]["severity"]) for name, alert in alerts().items()]


def test_every_recording_rule_stands_in_the_table_and_no_other() -> None:
    table = [code(row[0])[0] for row in rows("reference/alerts.md") if len(row) == 2]
    assert table == [rule["record"] for rule in rules() if "record" in rule]


def test_the_limits_of_the_stream_and_of_estimates_are_as_the_code_has_them() -> None:
    stream = page("reference/events.md")
    limits = Limits()
    assert f"within {event_stream.FLUSH_INTERVAL_S:g} s" in stream
    assert f"({limits.max_buffered_events:,} changes or {event_stream.MAX_BUFFERED_BYTES >> 20} MiB)" in stream
    assert f"Every {limits.heartbeat_s:.0f} s without" in stream
    assert f"does not read for {limits.event_write_timeout_s:.0f} s" in stream
    assert f"At most {limits.max_readers:,} readers may be connected, and at most {limits.max_readers // 4}" in stream
    estimates = page("explanation/estimates.md")
    assert f"once {eta._MIN_SEEN:.0%}".replace("%", " %") in estimates
    assert (upload_history.MAX_UPLOADS, "the last five" in estimates) == (5, True)
    assert (eta._PRIOR_WEIGHT, "a tenth of this upload" in estimates) == (0.1, True)


def test_the_limits_of_the_web_server_are_as_the_code_has_them() -> None:
    limits, stated = Limits(), page("reference/web-server-limits.md")
    assert f"{limits.max_connections:,}, and at most half" in stated
    for name, seconds in {
        "a header": limits.header_timeout_s,
        "a connection without a request": limits.keepalive_s,
        "a response": limits.response_timeout_s,
    }.items():
        assert f"| {name} | {seconds:.0f} s" in stated
    assert f"| a body | {MAX_BODY_BYTES // 1024} KiB, {limits.body_timeout_s:.0f} s |" in stated
    assert f"{limits.max_changes} changes at once" in page("reference/scopes.md")


def test_the_events_that_are_shown_have_the_members_that_there_are() -> None:
    (shown,) = [block for block in blocks("text") if "event: state" in block]
    kinds = {"state": live.StateMessage, "change": live.ChangeMessage}
    for kind, data in re.findall(r"event: (\w+)\n.*\ndata: (.*)", shown):
        message = json.loads(re.sub(r", …|{…}|…", lambda cut: "{}" if cut[0] == "{…}" else "", data))
        assert list(message) == list(kinds[kind].__struct_fields__)
        for part in message.get("parts", [message.get("part")]):
            assert part.keys() <= set(live.Part.__struct_fields__)
            for resource in part.get("resources", {}).values():
                assert resource.keys() <= set(live.ResourcePart.__struct_fields__)
                assert all(image.keys() <= set(ImageStatus.__struct_fields__) for image in resource.get("objects", ()))


@pytest.mark.parametrize("body", PATCH_BODIES)
def test_every_body_that_is_shown_is_one_that_is_taken(body: str) -> None:
    decode_patch(body.replace("{…}", "{}").encode())


def test_bodies_are_shown_in_every_form() -> None:
    forms = {key for body in PATCH_BODIES for key in json.loads(body.replace("{…}", "{}"))}
    assert forms >= {"annotations", "name", *FORMS}


def test_every_command_stands_in_the_table_with_all_its_options() -> None:
    table = {code(row[0])[0]: set(code(row[1])) for row in rows("reference/commands.md")}
    assert table == {name: options(command) for name, command in commands(main, "avi-upgrade-monitor")}


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command, with the words that call it."""
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(
    "line", [line for block in blocks("sh") for line in block.splitlines() if line.startswith("avi-")]
)
def test_every_command_that_is_shown_is_one_that_is_understood(line: str) -> None:
    command: click.Command = main
    program, *words = shlex.split(line)
    while isinstance(command, click.Group) and not (command.invoke_without_command and words[0].startswith("-")):
        command = command.commands[words.pop(0)]
    with command.make_context(program, words):  # raises for an option or an argument that is none
        pass


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_every_reason_of_a_failed_poll_has_its_remedy() -> None:
    table = [code(row[0])[0] for row in rows("troubleshooting.md")]
    assert table[: len(get_args(Reason))] == list(get_args(Reason))


def test_every_log_event_stands_in_the_table_and_no_other() -> None:
    table = {event for row in rows("reference/log-events.md") for event in code(row[0])}
    assert table == set(logged())


def logged() -> Iterator[str]:
    """The event names that the source logs: the texts that a log method, or what is picked from two, is called with."""
    methods = {"debug", "info", "warning", "error", "exception"}
    files = [path for path in (ROOT / "monitor").rglob("*.py") if "simulator" not in path.parts]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
                yield from texts(node.args[0])
            if (
                isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == "event"
                and "if" in ast.unparse(node.value)
            ):
                yield from texts(node.value)


def texts(node: ast.expr) -> list[str]:
    constants = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]


def test_the_config_of_the_how_to_loads(tmp_path: Path) -> None:
    (config,) = [block for block in blocks("yaml") if "\ncontrollers:\n" in block]
    for name in re.findall(r"/etc/avi-upgrade-monitor/([\w.-]+)", config):
        (tmp_path / name).write_text("secret")
    make_certificate("127.0.0.1", tmp_path / "dc1-ca.pem")
    (tmp_path / "config.yml").write_text(config.replace("/etc/avi-upgrade-monitor", str(tmp_path)))
    assert [controller.name for controller in load(tmp_path / "config.yml").controllers] == ["dc1", "lab"]


def test_the_scrape_config_is_yaml_for_the_default_address() -> None:
    (scrape,) = [block for block in blocks("yaml") if "scrape_configs:" in block]
    (job,) = yaml.safe_load(scrape)["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9972"]}]


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs", "deploy"])
def test_the_documentation_names_the_actor(path: str) -> None:
    pages = [page for page in (ROOT / path, *(ROOT / path).rglob("*")) if page.is_file() and page.suffix != ".png"]
    found = {page: re.findall(r"(?i)\b(?:who|any|some|every|no)(?:ever|body)\b", page.read_text()) for page in pages}
    assert {page: words for page, words in found.items() if words} == {}


def test_every_scrape_config_that_is_shipped_or_documented_honors_our_labels() -> None:
    texts = [path.read_text() for path in (ROOT / "deploy").rglob("*.y*ml")]
    pages = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md"))
    texts += [block for page in pages for block in re.findall(r"```ya?ml\n(.*?)```", page.read_text(), re.DOTALL)]
    jobs = [job for text in texts if "scrape_configs:" in text for job in yaml.safe_load(text)["scrape_configs"]]
    assert len(jobs) >= 2
    assert [job for job in jobs if job.get("honor_labels") is not True] == []


@pytest.mark.parametrize("target", ["demo", "test", "bench", "lint"])
def test_the_make_targets_that_are_named_exist(target: str) -> None:
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_first_two_commands_are_all_the_set_up() -> None:
    assert blocks("sh")[:2] == ["make demo\n", "make test\n"]


def test_decisions_that_the_code_points_to_exist() -> None:
    numbers = {int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("*.md")}
    source = "".join(path.read_text() for path in (ROOT / "monitor").rglob("*.py"))
    assert set(map(int, re.findall(r"decision (\d+)", source))) <= numbers


@pytest.mark.parametrize("path", LINKING, ids=[str(path.relative_to(ROOT)) for path in LINKING])
def test_every_link_leads_to_a_file_and_a_heading_that_exist(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)(?:#([\w-]+))?\)", path.read_text())
    for target, anchor in links:
        to = path.parent / target
        assert to.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", to.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_every_page_is_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)\)", page("README.md")))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages - {"README.md"} == linked


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(README.split()) <= 1500
