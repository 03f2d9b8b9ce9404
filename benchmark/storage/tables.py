"""The tables of the store of dataset runs, for any database that SQLAlchemy knows. They change by migrations only."""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

HEAD = "0002"
"""The revision of `benchmark/storage/migrations` that these tables are."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

environments = Table(
    "environment",
    metadata,
    # A hash of the facts: the same machine with the same versions has one row.
    Column("id", String(16), primary_key=True),
    Column("facts", JSON, nullable=False),
)

runs = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    # What was asked for, and its hash: the same command finds its run again by it.
    Column("request", JSON, nullable=False),
    Column("request_sha256", String(64), nullable=False),
    # planned, running, stopped, paused, done
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("created_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    # How it was last computed.
    Column("workers", Integer, nullable=False),
    Column("keep_images", Boolean, nullable=False),
    # local, ray
    Column("engine", String(16), nullable=False),
)

datasets = Table(
    "dataset",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("root", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("pictures", Integer, nullable=False),
    UniqueConstraint("run_id", "name"),
)

pictures = Table(
    "picture",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset_id", ForeignKey("dataset.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("scale", Integer, nullable=False),
    Column("original_path", Text, nullable=False),
    Column("original_sha256", String(64), nullable=False),
    # Null where the small picture is made here.
    Column("small_path", Text),
    Column("small_sha256", String(64)),
    UniqueConstraint("dataset_id", "name", "scale"),
)

cells = Table(
    "cell",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    Column("picture_id", ForeignKey("picture.id", ondelete="CASCADE"), nullable=False),
    Column("upscaler", String(100), nullable=False),
    Column("runtime", String(20), nullable=False),
    Column("precision", String(8), nullable=False),
    Column("input_hash", String(64), nullable=False),
    Column("model_hash", String(64), nullable=False),
    Column("settings_hash", String(64), nullable=False),
    # Seconds, scoring included; null where nothing is known.
    Column("expected_s", Float),
    # Null while it waits.
    Column("status", String(16)),
    # As planned, then with the results; scores lie in their own table.
    Column("row", JSON, nullable=False),
    # Each conversion of the picture on its way in, a sentence each.
    Column("notes", JSON),
    Column("fingerprint", String(16)),
    Column("environment_id", ForeignKey("environment.id")),
    Column("pixels_sha256", String(64)),
    # The PNG that was kept lies under this hash.
    Column("output_sha256", String(64)),
    Column("finished_at", String(32)),
    UniqueConstraint("run_id", "input_hash", "model_hash", "settings_hash"),
    Index(None, "run_id", "status"),
)

scores = Table(
    "score",
    metadata,
    Column("cell_id", ForeignKey("cell.id", ondelete="CASCADE"), primary_key=True),
    Column("protocol", String(20), primary_key=True),
    Column("fingerprint", String(16), nullable=False),
    # `benchmark.schema.ProtocolScores` without the fingerprint: a new metric needs no new column.
    Column("numbers", JSON, nullable=False),
)

comparisons = Table(
    "comparison",
    metadata,
    # The comparisons of the app lie in their directories; this only says which there are.
    Column("id", String(16), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("scale", Float, nullable=False),
    Column("image_sha256", String(64)),
    Column("upscalers", JSON, nullable=False),
)
