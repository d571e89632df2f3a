"""Alembic's entry: runs on the connection that monitor.store.migrate hands over; there is no other way in."""

from alembic import context

from monitor.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
