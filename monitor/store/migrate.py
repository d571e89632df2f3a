"""Brings a database to this program's schema, with alembic, inside the caller's transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from monitor.model.errors import NewerDatabase, StoreError

_LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",  # its driver would begin no transaction for DDL: a kill could leave half of it
    "postgresql": "SELECT pg_advisory_xact_lock(4708031)",  # any number, but the same in every version
}


def migrate(connection: Connection) -> None:
    """
    Run the migrations that this database lacks, all or none; of several processes one does it, the others wait.

    Raises: NewerDatabase; StoreError when the table in which the schema is noted cannot be right.
    """
    try:
        _migrate(connection)
    except CommandError as error:
        raise StoreError(f"its table alembic_version cannot be right: {error}") from error


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    if present == scripts.get_current_head():
        return
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerDatabase(
            f"its schema is {present}, which this version does not know: a newer version wrote it;"
            " run that version, or name another database"
        )
    connection.exec_driver_sql(_LOCKS[connection.dialect.name])
    command.upgrade(config, "head")  # which looks again, now that nobody else can
