"""What few people change of a dataset run: how its models run, what else is scored, and what computes it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import streamlit as st

from benchmark.ray import cluster as ray_cluster
from benchmark.storage.records import ENGINES, MAX_WORKERS, EngineName
from core.settings import settings
from runtimes import RUNTIMES
from runtimes.base import Precision
from ui.metric_choice import metric_choice
from ui.model_options import option_choice, seed_choice
from upscalers.parameters import DEFAULT_SEED
from upscalers.spec import UpscalerSpec

AUTO = "auto"
MAX_REPEATS = 20
SMALLEST_TILE_PX = 16
ENGINE_LABELS: Mapping[EngineName, str] = {"local": "This machine", "ray": "Ray cluster"}
NAMED_CLUSTER = "The cluster that RAY_ADDRESS names."
OWN_CLUSTER = "A cluster on this machine that lasts as long as the run; RAY_ADDRESS names another."


def upscaler_options(specs: Sequence[UpscalerSpec]) -> dict[str, Any]:
    """How the upscalers run, as fields of a `benchmark.runs.plan.RunPlan`."""
    with st.popover("Options", width="stretch"):
        runtimes = st.pills(
            "Runtimes",
            [
                AUTO,
                *(runtime for runtime in RUNTIMES.ids() if any(runtime in spec.runtimes for spec in specs if spec.group != "Classical")),
            ],
            selection_mode="multi",
            default=[AUTO],
            key="run runtimes",
            help="auto is the fastest that is ready. Each of several is a result of its own.",
        )
        precision = st.segmented_control(
            "Precision",
            [AUTO, *get_args(Precision)],
            default=AUTO,
            key="run precision",
            help="auto is f32, but f16 for diffusion on a GPU.",
        )
        tile_px = st.number_input(
            "Tile side in pixels",
            SMALLEST_TILE_PX,
            settings().max_input_side,
            None,
            step=SMALLEST_TILE_PX,
            placeholder="Each one's own",
            key="run tile",
            help="Large pictures are cut into tiles with no more pixels than a square of this side; smaller ones need less memory. "
            "Results of other tiles are ranked apart.",
        )
        options = option_choice(specs, key="run option")
        seed = seed_choice(specs, key="run seed")
    return {
        "runtimes": tuple(runtimes) or (AUTO,),
        "precision": None if precision in (AUTO, None) else precision,
        "tile_px": None if tile_px is None else int(tile_px),
        "options": options,
        # As the command line has it where nobody chooses: then it is the same run.
        "seed": None if seed == DEFAULT_SEED else seed,
    }


def more() -> tuple[dict[str, Any], int, EngineName]:
    """Repeats and more scores, as fields of a `benchmark.runs.plan.RunPlan`, then workers and engine."""
    with st.popover("More", width="stretch"):
        metrics = metric_choice(key="run metrics")
        repeats = st.number_input(
            "Warm calls of each picture",
            0,
            MAX_REPEATS,
            0,
            key="run repeats",
            help="After the first call; their median is the better time.",
        )
        chosen = st.segmented_control(
            "Computed on", ENGINES, default="local", required=True, format_func=lambda name: ENGINE_LABELS[name], key="run engine"
        )
        engine = cast("EngineName", chosen or "local")
        if engine == "ray":
            st.caption(ray_cluster.unavailable_reason() or (NAMED_CLUSTER if os.environ.get("RAY_ADDRESS") else OWN_CLUSTER))
        workers = st.number_input(
            "Workers",
            1,
            MAX_WORKERS if engine == "ray" else max(1, os.cpu_count() or 1),
            1,
            # A cluster has more of them.
            key=f"run workers {engine}",
            help="Faster, but their times are not those of a model alone.",
        )
    return {"repeats": int(repeats), "metrics": metrics}, int(workers), engine
