"""The set-up row: which picture, which way, which scale, which upscalers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import upscalers
from benchmark import given_small
from benchmark.degradation import DEFAULT_DOWNSCALE, DOWNSCALERS
from benchmark.plan import Plan, default_precision
from benchmark.presentation.format import plain, seconds
from benchmark.schema import Mode, Region
from core.errors import AppError
from core.image import check_output_size
from ui.expected import expected_s, input_size
from ui.given import small_version
from ui.metric_choice import metric_choice
from ui.model_options import option_choice, seed_choice
from ui.picture_choice import area_control, picture_control
from ui.state import Chosen
from ui.upscaler_choice import upscaler_choice
from upscalers.parameters import DEFAULT_SEED, OptionValue
from upscalers.spec import SCORED_SCALES

MODES: Mapping[Mode, str] = {"restore": "Shrink and restore", "as-is": "Upscale as is"}


@dataclass(frozen=True)
class Setup:
    """What the visitor has set."""

    picture: Chosen
    scale: int
    mode: Mode
    downscale: str
    upscaler_ids: tuple[str, ...]
    options: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict)
    seed: int | None = None
    """For the chosen upscalers that draw random numbers; None where there are none."""
    region: Region | None = None
    """The part that is compared; None for the whole picture."""
    small: Chosen | None = None
    """The visitor's own small picture, used instead of shrinking the picture."""
    metrics: tuple[str, ...] = ()
    """Names of the scores that were asked for beyond those that every comparison has."""

    def plan(self) -> Plan:
        """The same as the engine takes it. Raises `core.errors.UsageError`."""
        return Plan(
            scale=self.scale,
            upscaler_ids=self.upscaler_ids,
            mode=self.mode,
            downscale=self.downscale,
            options=self.options,
            seed=self.seed,
            region=self.region,
            metrics=self.metrics,
        )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of what the upscalers will read."""
        return input_size(self.picture, self.region, self.mode, self.scale)

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for two set-ups that give the same comparison."""
        return (
            hash(self.picture.source),
            hash(self.small and self.small.source),
            self.scale,
            self.mode,
            self.downscale,
            self.upscaler_ids,
            repr(self.options),
            self.seed,
            self.region,
            self.metrics,
        )

    def problem(self) -> str | None:
        """Why it can't be started, in one line."""
        if not self.upscaler_ids:
            return "Pick at least one upscaler."
        width, height = (self.region.width, self.region.height) if self.region else (self.picture.width, self.picture.height)
        if self.mode == "restore" and min(width, height) < self.scale:
            return f"{self.picture.width}×{self.picture.height} is too small to shrink by {self.scale}."
        try:
            if self.small:
                given_small.check((self.small.width, self.small.height), (self.picture.width, self.picture.height), self.scale)
            check_output_size(width, height, self.scale if self.mode == "as-is" else 1)
        except AppError as error:
            return str(error)
        return None

    def expected_s(self) -> float | None:
        """What the whole comparison will take, repeats included; None when nothing is known about one of the upscalers."""
        return expected_s(self.upscaler_ids, self.scale, self.input_size, self.options)


def setup_row() -> tuple[Setup, DeltaGenerator]:
    """Draw the row; returns what is set, and the place for the button at its end."""
    is_open = st.session_state.get("setup_open", False)
    summary = st.container(key="summary")
    with st.container(key="setup"), st.container(key="setup-open" if is_open else "setup-closed"):
        picture_column, way_column, upscaler_column, button_column = st.columns([13, 8, 7, 6], gap="medium")
    with picture_column:
        picture = picture_control()
    with way_column:
        mode, scale = _way()
        region, remark = area_control(picture, mode)
    with upscaler_column:
        ids = upscaler_choice(scale, input_size(picture, region, mode, scale))
    with button_column:
        st.html('<p class="ub-label ub-spacer">&nbsp;</p>')
        place = st.container(key="compare")
        downscale, options, seed, small, metrics = _more(mode, ids)
    if region is not None and (whole_s := expected_s(ids, scale, input_size(picture, None, mode, scale), options)) is not None:
        remark.caption(f"The whole picture takes about {seconds(whole_s)}.")
    # Only narrow screens show it, and hide the row behind it.
    what = f"{picture.label}, x{scale}, {len(ids)} upscaler{'s' if len(ids) != 1 else ''}"
    summary.button(
        "Done" if is_open else f"{plain(what)}: Edit",
        key="setup_toggle",
        icon=":material/check:" if is_open else ":material/tune:",
        width="stretch",
        on_click=_toggle_setup,
    )
    if small is not None and region is not None:
        region = given_small.aligned(region, scale)
    return Setup(picture, scale, mode, downscale, ids, options, seed, region, small, metrics), place


def _toggle_setup() -> None:
    st.session_state["setup_open"] = not st.session_state.get("setup_open", False)


def _way() -> tuple[Mode, int]:
    # A widget takes either a default or a value of the session; without a default it would be empty after the browser's "back".
    adopted = st.session_state.pop("just_adopted", False)
    mode = st.segmented_control(
        "Do",
        list(MODES),
        format_func=lambda key: MODES[key],
        key="mode",
        required=True,
        bind="query-params",
        default=None if adopted else "restore",
    )
    scale = st.segmented_control(
        "Scale",
        SCORED_SCALES,
        format_func=lambda value: f"x{value}",
        key="scale",
        required=True,
        bind="query-params",
        default=None if adopted else 4,
    )
    return cast("Mode", mode or "restore"), int(scale or 4)


def _more(mode: Mode, ids: tuple[str, ...]) -> tuple[str, dict[str, dict[str, OptionValue]], int | None, Chosen | None, tuple[str, ...]]:
    """What few people change: the small picture or how it is made, the upscalers' own parameters, the seed of those that draw random
    numbers, and more scores.
    """
    with st.container(key="more"), st.popover("More", width="stretch"):
        small = small_version(disabled=mode == "as-is")
        downscale = st.selectbox(
            "Downscale method",
            DOWNSCALERS.ids(),
            index=DOWNSCALERS.ids().index(st.session_state.get("adopted_downscale", "bicubic")),
            format_func=lambda key: DOWNSCALERS.get(key).label,
            key="downscale",
            disabled=mode == "as-is" or small is not None,
            help="How the small picture is made. Scores of different methods are never ranked together.",
        )
        chosen = upscalers.registry().select(ids)
        options = option_choice(chosen, given=st.session_state.get("adopted_options"))
        seed = seed_choice(chosen, given=int(st.session_state.get("adopted_seed", DEFAULT_SEED)))
        metrics = metric_choice(given=st.session_state.get("adopted_metrics", ()), disabled=mode == "as-is")
        precisions = {default_precision(spec): spec.name for spec in chosen}
        st.caption(f"Runtime: the fastest that is ready, in {' or '.join(precisions) or 'f32'}.")
    if small is not None:
        st.caption(f"Small version: {plain(small.label)} · {small.width}×{small.height}")
    return (DEFAULT_DOWNSCALE if small else downscale), options, seed, small, metrics
