"""What was seen of the last upgrades of each controller."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "upgrade_logs",
        sa.Column("controller", sa.Text, primary_key=True),
        sa.Column("began_at", sa.Double, primary_key=True),
        sa.Column("log", sa.Text, nullable=False),
    )
