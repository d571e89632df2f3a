"""What is installed is whole: the wheel has every file of the package, and nothing else."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_every_file_of_the_package_and_the_command(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (entry_points,) = [wheel.read(name).decode() for name in wheel.namelist() if name.endswith("entry_points.txt")]
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "monitor").rglob("*") if path.is_file()}
    assert names == {name for name in package if "__pycache__" not in name}
    assert "monitor/store/migrations/versions/0001_progress_marks.py" in names
    assert "avi-upgrade-monitor = monitor.__main__:main" in entry_points
