"""What the app remembers: the engine for the whole server, the picture and the choices for each visitor."""

import contextlib
import functools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

import upscalers
from benchmark import jobs
from benchmark.additions import Additions
from benchmark.downloads import Downloads
from benchmark.plan import Plan
from benchmark.samples import SAMPLES, sample_path
from benchmark.schema import Comparison
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError
from core.image import Picture, decode, safe_stem
from core.settings import settings
from upscalers.parameters import DEFAULT_SEED
from upscalers.spec import SCORED_SCALES

if TYPE_CHECKING:
    from benchmark.datasets.reading import Readings
    from benchmark.runs.manager import RunManager

ROOT = Path(__file__).resolve().parent.parent
OWN = "Yours"
"""The pill that stands for the visitor's own picture."""
THUMBNAIL_PX = 320


@functools.cache
def engine() -> LocalEngine:
    """The engine of this server."""
    return LocalEngine(warm_up=settings().warm_up)


@functools.cache
def downloads() -> Downloads:
    """The downloads of this server: whoever opens the page sees them."""
    return Downloads()


@functools.cache
def additions() -> Additions:
    """The model files that visitors of this server are adding."""
    return Additions()


@functools.cache
def runs() -> "RunManager":
    """The dataset runs of this server: whoever opens the page sees them."""
    # SQLAlchemy is of no use to those who only compare.
    from benchmark.runs.manager import RunManager

    return RunManager(engine())


@functools.cache
def readings() -> "Readings":
    """The data sets that visitors of this server look at."""
    from benchmark.datasets.reading import Readings

    return Readings()


@dataclass(frozen=True)
class Chosen:
    """The picture that the visitor is about to compare. Its pixels are not kept, only the file and what is known of it."""

    label: str
    name: str
    source: bytes
    width: int
    height: int
    notes: tuple[str, ...]
    thumbnail: bytes


def user_id() -> str:
    """Tells visitors apart, so that they are served in turn."""
    return st.session_state.setdefault("user", secrets.token_hex(8))


def choose(source: bytes, name: str, label: str | None = None) -> Chosen:
    """Check a picture. Raises `core.errors.ImageError`."""
    picture = decode(source, name=name)
    return Chosen(label or safe_stem(name), name, source, picture.width, picture.height, picture.notes, _thumbnail(picture))


def _thumbnail(picture: Picture) -> bytes:
    from io import BytesIO

    from PIL import Image

    small = Image.fromarray(picture.rgb)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = BytesIO()
    # Nobody judges pixels by it: it only shows which picture is chosen, and where its region is.
    small.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


@functools.cache
def sample(label: str) -> Chosen:
    """One of the samples."""
    path = sample_path(label)
    return choose(path.read_bytes(), path.name, label)


def current_job() -> Comparison | None:
    """The comparison in the address, as it stands now. Raises `AppError` when it is gone."""
    job_id = st.query_params.get("job")
    return engine().load(job_id) if job_id else None


def adopt(job: Comparison) -> None:
    """Take over the picture and the choices of a comparison that was opened by its address, so that it can be run again."""
    if st.session_state.get("adopted") == job.id or job.original_path is None or job.image is None:
        return
    st.session_state["adopted"] = job.id
    if "started" in st.session_state:
        return
    path = jobs.picture_path(job.id, job.whole_path or job.original_path)
    source = path.read_bytes() if path is not None else None
    if source is not None:
        st.session_state["own_picture"] = choose(source, f"{job.image.name}.png")
        st.session_state["sample"] = OWN
    small = jobs.picture_path(job.id, job.whole_downscaled_path or job.downscaled_path or "") if job.lr_sha256 else None
    put_small(choose(small.read_bytes(), f"{job.image.name}.png", "its small version") if small else None)
    scale = int(job.scale) if job.scale in SCORED_SCALES else 4
    st.session_state.update(mode=job.mode, scale=scale, just_adopted=True)
    st.session_state.update(
        adopted_downscale=job.downscale,
        adopted_options={row.upscaler: row.options for row in job.rows},
        adopted_region=job.region,
        adopted_metrics=job.metrics,
        adopted_whole=hash(source) if source is not None and job.region is None else None,
        adopted_seed=next((row.seed for row in job.rows if row.seed is not None), DEFAULT_SEED),
    )
    chosen = {row.upscaler for row in job.rows}
    put_picks({spec.id: spec.id in chosen for spec in upscalers.registry()})


def picked() -> dict[str, bool]:
    """Which upscalers are chosen, by id; those that were never on offer are missing."""
    return st.session_state.setdefault("picks", {})


def put_picks(picks: Mapping[str, bool]) -> None:
    """Choose upscalers in the visitor's place.

    The browser builds what is in a popover when it is opened, and begins with the defaults of its widgets: a value put into
    a widget's state before would be lost. So picks are defaults, and new ones are those of new widgets.
    """
    picked().update(picks)
    st.session_state["picks_put"] = st.session_state.get("picks_put", 0) + 1


def put_small(small: Chosen | None) -> None:
    """Choose the small picture that belongs to the original, or none, in the visitor's place; its uploader is then a new and empty one."""
    for key in ("small_error", "small_upload_id"):
        st.session_state.pop(key, None)
    st.session_state["small"] = small
    st.session_state["small_turn"] = st.session_state.get("small_turn", 0) + 1


def welcome_job() -> Comparison:
    """What a visitor without a comparison sees: the example or, without one, the interpolators on the first sample, computed once."""
    with contextlib.suppress(AppError):
        return engine().load(jobs.EXAMPLE)
    job_id = _WELCOME.get("id")
    if job_id and jobs.find(job_id):
        return engine().load(job_id)
    first = sample(next(iter(SAMPLES)))
    plan = Plan(scale=4, upscaler_ids=("nearest", "bilinear", "bicubic", "lanczos"))
    _WELCOME["id"] = engine().submit(plan, first.source, name=first.name, user=jobs.EVERYBODY)
    return engine().load(_WELCOME["id"])


_WELCOME: dict[str, str] = {}
