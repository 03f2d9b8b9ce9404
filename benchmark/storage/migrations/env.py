"""Run by alembic: applies the migrations on the connection that `benchmark.storage.database` hands over, in its transaction."""

from alembic import context

from benchmark.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can undo a CREATE TABLE; alembic assumes otherwise. All or nothing of a migration is there after a kill.
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
