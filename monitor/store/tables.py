"""The tables, as this version of the program wants them; ``migrations`` brings a database here."""

from sqlalchemy import Column, Double, LargeBinary, MetaData, Table, Text

metadata = MetaData()

progress_marks = Table(
    "progress_marks",
    metadata,
    Column("controller", Text, primary_key=True),
    Column("image_uuid", Text, primary_key=True),
    Column("fingerprint", LargeBinary(16), nullable=False),
    Column("changed_at", Double, nullable=False),  # Unix seconds of our clock
    Column("first_seen_at", Double, nullable=False),
)
"""How far each image had come when it last moved (model.Mark)."""
