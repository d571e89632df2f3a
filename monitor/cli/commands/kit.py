"""``kit``: writes what an installation needs beside the daemon."""

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import click
from click.shell_completion import get_completion_class

from monitor import __version__
from monitor.cli.output.man_page import man_page
from monitor.cli.params import Utf8Text
from monitor.cli.runner import exit_on_error
from monitor.config.text_file import reason
from monitor.kit import parts as kit_parts
from monitor.kit.parts import File
from monitor.kit.rules.settings import (
    RUNBOOKS,
    STALLED_AFTER_S,
    Settings,
    parse_keep,
    parse_label,
    parse_selector,
    parse_stalled_s,
    parse_url,
)
from monitor.kit.rules.write import Format, all_rules
from monitor.model.errors import MonitorError

T = TypeVar("T")

_PROGRAM: Final = "avi-upgrade-monitor"
_MADE_HERE: Final = ("completion", "man")
PARTS: Final = ("rules", *kit_parts.SHIPPED, *_MADE_HERE)


class _Parsed(click.ParamType[T], Generic[T]):
    """A value that a function parses, which raises ValueError for a wrong one."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:  # noqa: ANN401
        """Return what it is parsed to."""
        try:
            return self._parse(Utf8Text().convert(value, param, ctx))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("PARTS", metavar="[PART]...", nargs=-1, type=click.Choice(PARTS))
@click.option("--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="The folder to write to.")
@click.option(
    "--selector",
    type=_Parsed("matchers", parse_selector),
    help='Of rules: matchers that every series must meet, such as job="x".',
)
@click.option(
    "--keep",
    type=_Parsed("labels", parse_keep),
    help="Of rules: the labels of targets that alerts keep, such as cluster,site; else all but instance, node, pod.",
)
@click.option(
    "--stalled",
    "stalled_after_s",
    type=_Parsed("duration", parse_stalled_s),
    help="Of rules: how long an upload may not move; as `stalled_after` in the configuration, by default 10m.",
)
@click.option(
    "--label",
    "labels",
    type=_Parsed("name=value", parse_label),
    multiple=True,
    help="Of rules: a label that every alert gets. May be repeated.",
)
@click.option(
    "--runbooks",
    type=_Parsed("url", parse_url),
    help="Of rules: where the folder of the runbooks is, for `runbook_url`.",
)
@click.option("--grafana", type=_Parsed("url", parse_url), help="Of rules: where Grafana is; adds `dashboard_url`.")
@click.option(
    "--page",
    type=_Parsed("url", parse_url),
    help="Of rules and dashboards: where the page of the monitor is; adds `page_url`.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["prometheus", "operator", "mimir"]),
    default="prometheus",
    show_default=True,
    help="Of rules: files for Prometheus, a PrometheusRule for its operator, or a file for mimirtool.",
)
@click.pass_context
@exit_on_error
def kit(
    context: click.Context,
    *,
    parts: tuple[str, ...],
    folder: Path | None,
    selector: str | None,
    keep: tuple[str, ...] | None,
    stalled_after_s: int | None,
    labels: tuple[tuple[str, str], ...],
    runbooks: str | None,
    grafana: str | None,
    page: str | None,
    format_: Format,
) -> None:
    """
    Write rules, dashboards, units and examples, of the version of this program.

    PART is one of unit, rules, dashboards, alertmanager, web-config, compose, completion and man; none: all of them.
    Files stand in the folder as they do in the repository, and replace those that are there. Rules alone, without
    a folder, are printed.
    """
    settings = Settings(
        selector=selector or "",
        keep=keep or (),
        stalled_after_s=stalled_after_s or STALLED_AFTER_S,
        labels=tuple(dict(labels).items()),  # of one name the last
        runbooks=runbooks or RUNBOOKS,
        grafana=grafana or "",
        page=page or "",
    )
    chosen = dict.fromkeys(parts or PARTS)
    takers = {"rules", "compose", *(["dashboards"] if settings == Settings(page=settings.page) else [])}
    if not takers & chosen.keys() and (settings != Settings() or format_ != "prometheus"):
        raise click.UsageError(
            "Options other than --output are of the part rules, --page also of dashboards: name it, too."
        )
    if folder is None:
        if list(chosen) != ["rules"]:
            raise click.UsageError("--output is missing: without a folder, only the part rules can be printed.")
        click.echo(all_rules(settings, format_), nl=False)
        return
    made = {part: _files_of(part, context.find_root().command, settings, format_) for part in chosen}
    _write({file.path: file for file in chain.from_iterable(made.values())}.values(), folder)


def _files_of(part: str, main: click.Command, settings: Settings, format_: Format) -> Iterable[File]:
    if part == "rules":
        return kit_parts.rules(settings, format_)
    if part == "completion":
        return (_completion(main, shell) for shell in ("bash", "zsh", "fish"))
    if part == "man":
        return (File(f"man/{_PROGRAM}.1", man_page(main, __version__).encode()),)
    shipped = kit_parts.shipped(part, settings.page)
    return chain(shipped, kit_parts.rules(settings, "prometheus")) if part == "compose" else shipped


def _completion(main: click.Command, shell: str) -> File:
    kind = get_completion_class(shell)
    assert kind  # noqa: S101  click has those of the three shells
    script = kind(main, {}, _PROGRAM, "_AVI_UPGRADE_MONITOR_COMPLETE").source()
    return File(f"completion/{_PROGRAM}.{shell}", script.encode())


def _write(files: Iterable[File], folder: Path) -> None:
    for file in files:
        path = folder / file.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
        except OSError as error:
            raise MonitorError(f"{path}: {reason(error)}; expected a folder that can be written to") from error
        click.echo(path)
