"""What `make release` makes, and when it refuses to."""

import json
import re
import subprocess
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.release import (
    NAME,
    ROOT,
    Refused,
    Version,
    build,
    check_committed,
    check_same,
    read_version,
    write_checksums,
)
from monitor import __version__

pytestmark = pytest.mark.unmeasured
VERSION = Version(__version__, datetime(2027, 1, 2, tzinfo=UTC))


def checkout(folder: Path, *, program: str = "1.2.0", head: str = "[1.2.0] - 2027-01-02", chart: str = "1.2.0") -> Path:
    """The files that name the version."""
    for path, text in {
        "monitor/__init__.py": f'__version__ = "{program}"\n',
        "CHANGELOG.md": f"# Changelog\n\n## {head}\n\n## [1.1.0] - 2026-12-01\n",
        "deploy/kubernetes/chart/Chart.yaml": f'appVersion: "{chart}"\n',
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_the_version_is_that_of_program_changelog_and_chart(tmp_path: Path) -> None:
    assert read_version(checkout(tmp_path)) == Version("1.2.0", datetime(2027, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"head": "[Unreleased]"}, 'CHANGELOG.md: found "## [Unreleased]" first, expected "## [1.2.0] - YYYY-MM-DD"'),
        ({"head": "[1.2.0]"}, 'CHANGELOG.md: found "## [1.2.0]" first, expected "## [1.2.0] - YYYY-MM-DD"'),
        ({"program": "1.3.0"}, 'CHANGELOG.md: found "## [1.2.0] - 2027-01-02" first, expected "## [1.3.0]'),
        ({"chart": "1.1.0"}, 'deploy/kubernetes/chart/Chart.yaml: found appVersion "1.1.0", expected "1.2.0"'),
    ],
)
def test_versions_that_differ_are_refused(tmp_path: Path, files: dict[str, str], says: str) -> None:
    """A release whose chart starts the image of another one, or whose changes are called unreleased."""
    with pytest.raises(Refused, match=re.escape(says)):
        read_version(checkout(tmp_path, **files))


def test_changes_that_are_in_no_commit_are_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    check_committed(tmp_path)
    (tmp_path / "new.py").touch()
    with pytest.raises(Refused, match=re.escape("?? new.py")):
        check_committed(tmp_path)


def test_a_release_is_complete_and_the_same_when_it_is_built_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        build(ROOT, VERSION, folder)
    check_same(first, second)
    wheel, sdist, chart, packages = (
        first / f"avi_upgrade_monitor-{__version__}-py3-none-any.whl",
        first / f"avi_upgrade_monitor-{__version__}.tar.gz",
        first / f"{NAME}-{__version__}.tgz",
        first / f"{NAME}-{__version__}.cdx.json",
    )
    assert set(first.iterdir()) == {wheel, sdist, chart, packages}
    assert "monitor/__init__.py" in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as opened:
        assert f"avi_upgrade_monitor-{__version__}/deploy/systemd/install.sh" in opened.getnames()
    with tarfile.open(chart) as opened:
        assert f"{NAME}/files/rules/alerts.yml" in opened.getnames()
    listed = json.loads(packages.read_text())
    assert listed["metadata"]["component"]["version"] == __version__
    assert {"aiohttp", "asyncpg", "uvloop"} <= {each["name"] for each in listed["components"]}
    write_checksums(first)
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=first, check=False)
    assert checked.returncode == 0
    assert len((first / "SHA256SUMS").read_text().splitlines()) == 4


@pytest.mark.parametrize("content", [b"other", None])
def test_builds_that_differ_are_refused(tmp_path: Path, content: bytes | None) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "wheel").write_bytes(b"same")
    (second / ("wheel" if content else "more")).write_bytes(content or b"")
    with pytest.raises(Refused, match=f"^two builds differ: {'wheel' if content else 'more'}$"):
        check_same(first, second)
