"""What is installed is whole: the wheel has every file of the package and of the kit, and nothing else."""

import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from monitor.kit.parts import SHIPPED
from tests.support.programs import output_of

ROOT = Path(__file__).parents[2]
KIT = "monitor/kit/files"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return Path(built)


def files_of(path: Path) -> set[str]:
    """A file, or those of a folder, by their paths in the repository."""
    files = path.rglob("*") if path.is_dir() else [path]
    return {each.relative_to(ROOT).as_posix() for each in files if each.is_file() and "__pycache__" not in each.parts}


def test_the_wheel_has_every_file_of_the_package_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = [archive.read(name).decode() for name in archive.namelist() if "entry_points" in name]
    kit = {f"{KIT}/{name}" for each in SHIPPED.values() for path in each for name in files_of(ROOT / path)}
    assert names == files_of(ROOT / "monitor") | kit
    assert "monitor/store/migrations/versions/0001_progress_marks.py" in names
    assert "avi-upgrade-monitor = monitor.__main__:main" in entry_points


async def test_the_kit_of_the_wheel_is_that_of_the_repository(wheel: Path, tmp_path: Path) -> None:
    """A file that the kit finds in a checkout, and not where the wheel is installed."""
    installed, folder = tmp_path / "installed", tmp_path / "folder"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    run = f"import sys; sys.path.insert(0, {str(installed)!r}); from monitor.__main__ import main; main()"
    status, stdout, stderr = await output_of(sys.executable, "-P", "-c", run, "kit", "--output", str(folder))
    assert (status, stderr) == (0, "")
    written = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {str(path) for path in written.values()} == set(stdout.splitlines())
    for name, path in written.items():
        if name.split("/")[0] in {"deploy", "grafana"}:
            assert path.read_bytes() == (ROOT / name).read_bytes(), name
    assert {"deploy/prometheus/rules/alerts.yml", "man/avi-upgrade-monitor.1"} <= written.keys()
