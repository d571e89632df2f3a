"""Which Controllers are being upgraded."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "upgrades_in_progress",
        sa.Column("controller", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
    )
