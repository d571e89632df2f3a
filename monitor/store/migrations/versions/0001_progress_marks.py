"""Progress marks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "progress_marks",
        sa.Column("controller", sa.Text, primary_key=True),
        sa.Column("image_uuid", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("first_seen_at", sa.Double, nullable=False),
    )
