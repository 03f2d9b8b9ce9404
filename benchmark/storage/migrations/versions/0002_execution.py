"""How a run was last computed: workers, whether pictures are kept, and the engine."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RUN = sa.table(
    "run",
    sa.column("id", sa.Integer),
    sa.column("workers", sa.Integer),
    sa.column("keep_images", sa.Boolean),
    sa.column("engine", sa.String),
)
CELL = sa.table(
    "cell",
    sa.column("id", sa.Integer),
    sa.column("run_id", sa.Integer),
    sa.column("status", sa.String),
    sa.column("row", sa.JSON),
    sa.column("output_sha256", sa.String),
)


def upgrade() -> None:
    """Add the columns, and fill them for earlier runs from the last result of each; which engine it was is not known."""
    op.add_column("run", sa.Column("workers", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("run", sa.Column("keep_images", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("run", sa.Column("engine", sa.String(16), nullable=False, server_default="local"))
    connection = op.get_bind()
    for (run_id,) in connection.execute(sa.select(RUN.c.id)).all():
        results = sa.select(CELL.c.row, CELL.c.output_sha256).where(CELL.c.run_id == run_id, CELL.c.status == "ok")
        last = connection.execute(results.order_by(CELL.c.id.desc()).limit(1)).first()
        if last is not None:
            known = {"workers": last.row["workers"], "keep_images": last.output_sha256 is not None}
            connection.execute(sa.update(RUN).where(RUN.c.id == run_id).values(known))
