"""Progress marks of every kind of object, not of images alone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Copy the marks of images into a table that has the resource in its key; SQLite cannot change a key in place."""
    marks = op.create_table(
        "marks_by_resource",
        sa.Column("controller", sa.Text, primary_key=True),
        sa.Column("resource", sa.Text, primary_key=True),
        sa.Column("object_uuid", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("first_seen_at", sa.Double, nullable=False),
    )
    old = sa.table(
        "progress_marks",
        sa.column("controller"),
        sa.column("image_uuid"),
        sa.column("fingerprint"),
        sa.column("changed_at"),
        sa.column("first_seen_at"),
    )
    kept = sa.select(
        old.c.controller,
        sa.literal("image"),
        old.c.image_uuid,
        old.c.fingerprint,
        old.c.changed_at,
        old.c.first_seen_at,
    )
    op.execute(marks.insert().from_select([column.name for column in marks.columns], kept))
    op.drop_table("progress_marks")
    op.rename_table("marks_by_resource", "progress_marks")
