"""After a region: the whole picture with one of the models, for what it will cost."""

import streamlit as st

from benchmark import estimates, jobs
from benchmark.given_small import Upload
from benchmark.labels import label_of
from benchmark.plan import Plan
from benchmark.presentation.format import mebibytes, plain, seconds
from benchmark.schema import Comparison, Row
from core.errors import AppError
from core.settings import settings
from ui.state import engine, user_id
from upscalers import find


def whole_buttons(job: Comparison) -> None:
    """One button per model that did the region, with the expected time and memory of the whole picture; none for whole pictures."""
    rows = [row for row in job.rows if row.output_path and not row.given and find(row.upscaler)]
    if job.region is None or job.whole_path is None or not rows:
        return
    st.html('<p class="ub-label">Run the whole picture with</p>')
    with st.container(horizontal=True, key="whole"):
        for row in rows:
            label, explained = _cost(job, row)
            name = plain(label_of(row).name)
            st.button(f"{name}: {label}", key=f"whole {row.upscaler}", help=explained, on_click=_start, args=(job, row))
    if error := st.session_state.pop("whole_error", None):
        st.error(error)


def _cost(job: Comparison, row: Row) -> tuple[str, str]:
    """`about 12 s, 1.1 GiB`, and where that comes from."""
    spec, image = find(row.upscaler), job.image
    if spec is None or image is None or image.whole_width is None or image.whole_height is None:
        return "time unknown", ""
    divisor = 1 if job.mode == "as-is" else int(job.scale)
    height, width = max(1, image.whole_height // divisor), max(1, image.whole_width // divisor)
    took_s = row.warm_p50_s or row.first_s
    time = "time unknown"
    if took_s is not None:
        region_pixels = estimates.processed_pixels(spec, row.scale, image.height // divisor, image.width // divisor)
        time = f"about {seconds(took_s * estimates.processed_pixels(spec, row.scale, height, width) / region_pixels)}"
    source = "From what the region took here" + (", while other programs used the machine." if row.contended else ".")
    memory_mib = estimates.expected_memory_mib(spec, row.scale, row.runtime, row.precision, height, width)
    if memory_mib is None:
        return time, source
    limit_mib = settings().model_memory_mib
    if memory_mib - (row.base_rss_mib or 0.0) > limit_mib:
        source += f" That may be more than the {mebibytes(limit_mib)} that a call may use."
    return f"{time}, {mebibytes(memory_mib)}", source


def _start(job: Comparison, row: Row) -> None:
    path = jobs.picture_path(job.id, job.whole_path or "")
    try:
        if path is None or job.image is None:
            raise AppError(jobs.GONE)
        small = jobs.picture_path(job.id, job.whole_downscaled_path or "")
        plan = Plan(
            scale=job.scale,
            upscaler_ids=[row.upscaler],
            mode=job.mode,
            downscale=job.downscale,
            options={row.upscaler: row.options},
            seed=row.seed,
            metrics=job.metrics,
        )
        st.query_params["job"] = engine().submit(
            plan,
            path.read_bytes(),
            name=f"{job.image.name}.png",
            user=user_id(),
            small=Upload(small.read_bytes(), small.name) if small else None,
        )
    except AppError as error:
        st.session_state["whole_error"] = str(error)
    else:
        # The set-up follows what is shown now, as after opening a link.
        st.session_state.pop("started", None)
