"""Migrate a database to the schema of this version, with alembic, inside the caller's transaction."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from monitor.model.errors import NewerDatabase, StoreError

_LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",  # the driver begins no transaction for DDL: a kill could leave half of it
    "postgresql": "SELECT pg_advisory_xact_lock(4708031)",  # any number; the same in every version
}


def migrate(connection: Connection) -> None:
    """
    Run the migrations that this database lacks, all or none. One of several processes runs them, the others wait.

    Raises: NewerDatabase; StoreError when the table that names the schema is inconsistent.
    """
    try:
        _migrate(connection)
    except CommandError as error:
        raise StoreError(f"the table alembic_version is inconsistent: {error}") from error


def is_migrated(connection: Connection) -> bool:
    """Whether the database has the schema of this version; not that of an earlier one. Raises: NewerDatabase."""
    scripts = _scripts()
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerDatabase(
            f"its schema is {present}, which this version does not know: a newer version wrote it;"
            " run that version, or configure another database"
        )
    return present == scripts.get_current_head()


def _migrate(connection: Connection) -> None:
    if is_migrated(connection):
        return
    connection.exec_driver_sql(_LOCKS[connection.dialect.name])
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")  # checks the revision again, under the lock


@cache  # a database that failed is opened again and again, and each time it would load every script
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
