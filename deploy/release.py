"""
Makes a release in ``dist/``: wheel, sdist, chart, the list of packages (SBOM, CycloneDX) and their checksums.

Everything is built twice and has to be the same, byte by byte: so each reader can build it again and compare.
`make release` runs it.
"""

import filecmp
import gzip
import io
import re
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import helm_python
import yaml
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT: Final = Path(__file__).parents[1]
NAME: Final = "avi-upgrade-monitor"
_CHART: Final = Path("deploy", "kubernetes", "chart")
_LOCK: Final = Path("deploy", "requirements.txt")


class Refused(Exception):
    """Why there is no release, for the person who wants one."""


class Version(NamedTuple):
    """Of a release: its number, and when it is made."""

    number: str
    at: datetime


def main() -> None:
    """Make the release of this checkout."""
    try:
        check_committed(ROOT)
        version = read_version(ROOT)
        with TemporaryDirectory() as first, TemporaryDirectory() as second:
            for folder in (first, second):
                build(ROOT, version, Path(folder))
            check_same(Path(first), Path(second))
            shutil.rmtree(ROOT / "dist", ignore_errors=True)
            shutil.copytree(first, ROOT / "dist")
    except Refused as error:
        sys.exit(f"no release: {error}")
    write_checksums(ROOT / "dist")
    print((ROOT / "dist" / "SHA256SUMS").read_text(), end="")  # noqa: T201  it is a program


def check_committed(root: Path) -> None:
    """Raises: Refused when the checkout is not what a commit has: no other machine could build the same."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=False)
    if status.returncode or status.stdout:
        raise Refused(f"expected a checkout without changes, git status says:\n{status.stdout or status.stderr}")


def read_version(root: Path) -> Version:
    """Return the version of the program. Raises: Refused unless changelog and chart have the same."""
    found = re.findall(r'^__version__ = "(.+)"$', (root / "monitor" / "__init__.py").read_text(), re.MULTILINE)
    number = found[0]
    head, *_ = re.findall(r"^## .*$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    dated = re.fullmatch(rf"## \[{re.escape(number)}\] - (\d{{4}}-\d\d-\d\d)", head)
    if not dated:
        raise Refused(
            f'CHANGELOG.md: found "{head}" first, expected "## [{number}] - YYYY-MM-DD", as __version__ in'
            " monitor/__init__.py is"
        )
    app_version = yaml.safe_load((root / _CHART / "Chart.yaml").read_text())["appVersion"]
    if app_version != number:
        raise Refused(f'{_CHART / "Chart.yaml"}: found appVersion "{app_version}", expected "{number}"')
    return Version(number, datetime.fromisoformat(dated[1]).replace(tzinfo=UTC))


def build(root: Path, version: Version, folder: Path) -> None:
    """Put all files of a release but the checksums into the folder."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if built.returncode:
        raise Refused(f"hatchling failed:\n{built.stderr}")
    _write_chart(root, version, folder)
    lock = (root / _LOCK).read_text()
    (folder / f"{NAME}-{version.number}.cdx.json").write_text(list_packages(lock, version))


def _write_chart(root: Path, version: Version, folder: Path) -> None:
    """Package the chart as Helm does, but with the time of the release in place of that of the packaging."""
    with TemporaryDirectory() as scratch:
        packaged = Path(helm_python.package(root / _CHART, destination=scratch))
        content = io.BytesIO()
        with tarfile.open(packaged) as source, tarfile.open(fileobj=content, mode="w") as sink:
            for member in sorted(source.getmembers(), key=lambda each: each.name):
                member.mtime = version.at.timestamp()
                sink.addfile(member, source.extractfile(member))
        (folder / packaged.name).write_bytes(gzip.compress(content.getvalue(), mtime=0))


def list_packages(lock: str, version: Version) -> str:
    """Return the packages of a lock as a CycloneDX document."""
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{NAME}-{version.number}"))
    bom.metadata.timestamp = version.at
    program = _component(NAME, version.number, ComponentType.APPLICATION)
    bom.metadata.component = program
    packages = [
        _component(name, number, ComponentType.LIBRARY)
        for name, number in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)
    ]
    bom.components.update(packages)
    bom.register_dependency(program, packages)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(name: str, version: str, kind: ComponentType) -> Component:
    url = PackageURL("pypi", name=name, version=version)
    return Component(name=name, version=version, type=kind, purl=url, bom_ref=str(url))


def check_same(first: Path, second: Path) -> None:
    """Raises: Refused when two builds differ."""
    names = sorted({path.name for folder in (first, second) for path in folder.iterdir()})
    _, different, missing = filecmp.cmpfiles(first, second, names, shallow=False)
    if different or missing:
        raise Refused(f"two builds differ: {', '.join([*different, *missing])}")


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS``, which `sha256sum --check` reads."""
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
