"""Which daemon writes to the database."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table with its one row: there was no writer yet."""
    writer = op.create_table(
        "writer",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.bulk_insert(writer, [{"id": 1, "term": 0, "url": "", "since": 0.0}])
