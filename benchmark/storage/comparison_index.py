"""Which comparisons of single pictures there are, as rows of the store. The comparisons themselves lie in their directories."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select

from benchmark import jobs
from benchmark.schema import Comparison
from benchmark.storage.database import reading, writing
from benchmark.storage.store import Store
from benchmark.storage.tables import comparisons


def refresh(store: Store, found: Iterable[Comparison] | None = None) -> None:
    """Bring the index up to what there is; by default to the directories of the user. Raises `core.errors.StoreError`."""
    present = {job.id: job for job in (jobs.all_jobs(None) if found is None else found)}
    with writing(store.engine) as connection:
        known = {each.id: each.revision for each in connection.execute(select(comparisons.c.id, comparisons.c.revision))}
        changed = [job for job in present.values() if known.get(job.id) != job.revision]
        for job_id in (known.keys() - present.keys()) | {job.id for job in changed}:
            connection.execute(delete(comparisons).where(comparisons.c.id == job_id))
        if changed:
            connection.execute(insert(comparisons), [_facts(job) for job in changed])


def listed(store: Store) -> list[dict[str, Any]]:
    """The index as of the last `refresh`, the newest first."""
    with reading(store.engine) as connection:
        return [dict(each) for each in connection.execute(select(comparisons).order_by(comparisons.c.created_at.desc())).mappings()]


def _facts(job: Comparison) -> dict[str, Any]:
    return {
        "id": job.id,
        "revision": job.revision,
        "created_at": job.created_at,
        "state": job.state,
        "scale": job.scale,
        "image_sha256": job.image.sha256 if job.image else None,
        "upscalers": [row.upscaler for row in job.rows],
    }
