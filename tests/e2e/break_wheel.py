"""
Makes of a wheel one of a later version that migrates the database, and then fails to listen.

``python break_wheel.py WHEEL FOLDER``
"""

import sys
import zipfile
from pathlib import Path

VERSIONS = "monitor/store/migrations/versions/"
MIGRATION = """
from alembic import op

revision = "9000"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("CREATE TABLE made_by_a_later_version (nothing INTEGER)")
"""
FAILURE = """

async def _fail(listener):
    raise MonitorError("broken on purpose")


Listener.start = _fail
"""


def main(wheel: Path, folder: Path) -> None:
    version = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(folder / wheel.name.replace(version, "999.0"), "w") as sink:
        head = max(name.removeprefix(VERSIONS)[:4] for name in source.namelist() if name.startswith(VERSIONS))
        for name in source.namelist():
            content = source.read(name).decode()
            if name == "monitor/web/server.py":
                content += FAILURE
            if name.endswith(".dist-info/METADATA"):
                content = content.replace(f"\nVersion: {version}\n", "\nVersion: 999.0\n")
            sink.writestr(name.replace(f"-{version}.dist-info", "-999.0.dist-info"), content)
        sink.writestr(f"{VERSIONS}9000_later.py", MIGRATION.format(head=head))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
