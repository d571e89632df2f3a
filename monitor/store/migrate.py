"""Brings a database to this program's schema, with alembic, inside the caller's transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from monitor.model import StoreError


def migrate(connection: Connection) -> None:
    """
    Run the migrations that this database lacks.

    Raises: StoreError when the database was written by a newer version of the program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        raise StoreError(
            f"its schema is {present}, which this version does not know: a newer version wrote it;"
            " run that version, or name another database"
        )
    command.upgrade(config, "head")
