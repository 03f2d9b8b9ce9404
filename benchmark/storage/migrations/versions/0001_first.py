"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "environment",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_environment"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("name", name="uq_run_name"),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_dataset_run_id", ondelete="CASCADE"),
        sa.UniqueConstraint("run_id", "name", name="uq_dataset_run_id_name"),
    )
    op.create_table(
        "picture",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scale", sa.Integer(), nullable=False),
        sa.Column("original_path", sa.Text(), nullable=False),
        sa.Column("original_sha256", sa.String(64), nullable=False),
        sa.Column("small_path", sa.Text()),
        sa.Column("small_sha256", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_picture"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_picture_dataset_id", ondelete="CASCADE"),
        sa.UniqueConstraint("dataset_id", "name", "scale", name="uq_picture_dataset_id_name_scale"),
    )
    op.create_table(
        "cell",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("picture_id", sa.Integer(), nullable=False),
        sa.Column("upscaler", sa.String(100), nullable=False),
        sa.Column("runtime", sa.String(20), nullable=False),
        sa.Column("precision", sa.String(8), nullable=False),
        sa.Column("input_hash", sa.String(64), nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("settings_hash", sa.String(64), nullable=False),
        sa.Column("expected_s", sa.Float()),
        sa.Column("status", sa.String(16)),
        sa.Column("row", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON()),
        sa.Column("fingerprint", sa.String(16)),
        sa.Column("environment_id", sa.String(16)),
        sa.Column("pixels_sha256", sa.String(64)),
        sa.Column("output_sha256", sa.String(64)),
        sa.Column("finished_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_cell"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_cell_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["picture_id"], ["picture.id"], name="fk_cell_picture_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], name="fk_cell_environment_id"),
        sa.UniqueConstraint(
            "run_id", "input_hash", "model_hash", "settings_hash", name="uq_cell_run_id_input_hash_model_hash_settings_hash"
        ),
    )
    op.create_index("ix_cell_run_id_status", "cell", ["run_id", "status"])
    op.create_table(
        "score",
        sa.Column("cell_id", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(20), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("cell_id", "protocol", name="pk_score"),
        sa.ForeignKeyConstraint(["cell_id"], ["cell.id"], name="fk_score_cell_id", ondelete="CASCADE"),
    )
    op.create_table(
        "comparison",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("scale", sa.Float(), nullable=False),
        sa.Column("image_sha256", sa.String(64)),
        sa.Column("upscalers", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_comparison"),
    )
