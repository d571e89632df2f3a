"""
The files of each part of the kit, by their paths in the repository, of the version of this program.

Rules are made of their table; all other files are those of the repository, which a wheel has in `files`.
"""

import json
from collections.abc import Iterable, Mapping
from os import X_OK, access
from pathlib import Path
from typing import Final, NamedTuple

from monitor.kit.rules.settings import Settings
from monitor.kit.rules.write import Format, rule_files

_PACKAGED: Final = Path(__file__).parent / "files"
_ROOT: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2]  # not installed, but run in a checkout

SHIPPED: Final[Mapping[str, tuple[str, ...]]] = {
    "unit": ("deploy/systemd", "deploy/requirements.txt"),  # the installer reads both
    "dashboards": ("grafana/dashboards", "grafana/provisioning"),
    "alertmanager": (
        "deploy/prometheus/alertmanager.yml",
        "deploy/prometheus/templates",
        "deploy/prometheus/runbooks",
    ),
    "web-config": ("deploy/web-config.yml",),
    "compose": (
        "deploy/container/compose.yaml",
        "deploy/prometheus/prometheus.yml",
        "deploy/prometheus/alertmanager.yml",
        "deploy/prometheus/templates",
        "grafana/dashboards",
        "grafana/provisioning",
    ),
}
"""The parts whose files, or some of them, are those of the repository."""


_PAGE: Final = "http://127.0.0.1:9972"  # the value of a variable of each dashboard


class File(NamedTuple):
    """A file of the kit; ``path`` is relative."""

    path: str
    content: bytes
    executable: bool = False


def shipped(part: str, page: str = "") -> Iterable[File]:
    """Return the files of a part of `SHIPPED`. ``page``: to which the dashboards link, if not to the default."""
    for path in (path for each in SHIPPED[part] for path in _files_of(_ROOT / each)):
        content = path.read_bytes()
        if page and path.suffix == ".json":
            content = content.replace(f'"{_PAGE}"'.encode(), json.dumps(page).encode())
        yield File(path.relative_to(_ROOT).as_posix(), content, access(path, X_OK))


def rules(settings: Settings, format_: Format) -> Iterable[File]:
    """Return the files of rules."""
    for name, text in rule_files(settings, format_).items():
        yield File(f"deploy/prometheus/rules/{name}", text.encode())


def _files_of(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
