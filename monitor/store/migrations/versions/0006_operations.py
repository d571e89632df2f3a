"""The operation of each unit that is upgraded, beside its progress mark."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; empty for an image, on which there is one operation only."""
    op.add_column("progress_marks", sa.Column("operation", sa.Text, nullable=False, server_default=""))
