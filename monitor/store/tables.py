"""The tables, as this version of the program wants them; ``migrations`` brings a database here."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

progress_marks = Table(
    "progress_marks",
    metadata,
    Column("controller", Text, primary_key=True),
    Column("resource", Text, primary_key=True),  # which kind of object (polling.resources.Resource.name)
    Column("object_uuid", Text, primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("changed_at", Double, nullable=False),  # Unix seconds of our clock
    Column("first_seen_at", Double, nullable=False),
    Column("operation", Text, nullable=False, server_default=""),  # JSON: model.tracked.OperationMark; empty: none
)
"""How far each object had come when it last moved (model.tracked.ProgressMark)."""

earlier_uploads = Table(
    "earlier_uploads",
    metadata,
    Column("controller", Text, primary_key=True),
    Column("image_uuid", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("ended_at", Double, nullable=False),  # Unix seconds of the Controller's clock
    Column("tasks", Text, nullable=False),  # JSON: seconds by task
    Column("took_s", Double),  # null: not seen from the start
)
"""How long the last few completed uploads of each type took (eta.CompletedUpload)."""

upgrades_in_progress = Table(
    "upgrades_in_progress",
    metadata,
    Column("controller", Text, primary_key=True),
    Column("since", Double, nullable=False),  # Unix seconds of our clock
)
"""Controllers that said that they are being upgraded, and have not been polled well since (health.SessionHealth)."""

upgrade_logs = Table(
    "upgrade_logs",
    metadata,
    Column("controller", Text, primary_key=True),
    Column("began_at", Double, primary_key=True, autoincrement=False),  # Unix seconds of our clock
    Column("log", Text, nullable=False),  # JSON: model.upgrade_log.UpgradeLog
)
"""What was seen of the last upgrades of each controller."""

annotations = Table(
    "annotations",
    metadata,
    Column("controller", Text, primary_key=True),
    Column("image_uuid", Text, primary_key=True),  # or of a unit: audit.Intent.work_id
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What operators wrote on images and units."""

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # given by audit_head: no gaps
    Column("intent", BigInteger, unique=True),  # of an outcome; unique: an intent has one outcome
    Column("at", Double, nullable=False),
    Column("controller", Text, nullable=False),
    Column("image_uuid", Text, nullable=False),  # or that of a unit
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index("audit_of_image", "image_uuid", "number"),
)
"""The records of the audit (audit.Record)."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""Number and hash of the last record; each transaction that adds records locks this row first."""


writer = Table(
    "writer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("term", BigInteger, nullable=False),  # PostgreSQL: one more with each daemon that becomes the writer
    Column("url", Text, nullable=False),  # empty: not known
    Column("since", Double, nullable=False),  # Unix seconds of its clock
)
"""Which daemon writes to the database, and how others reach it."""


def is_storable(text: str) -> bool:
    """Whether every database takes the text: PostgreSQL takes no zero byte, and UTF-8 no unpaired surrogate."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
