"""What completed uploads took, for the estimate of others."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "earlier_uploads",
        sa.Column("controller", sa.Text, primary_key=True),
        sa.Column("image_uuid", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("tasks", sa.Text, nullable=False),
        sa.Column("took_s", sa.Double),
    )
