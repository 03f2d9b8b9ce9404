"""The documents that the engine writes and that page, command line and exports read. Fields may be added, never renamed."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from upscalers.parameters import OptionValue
from upscalers.spec import Aim, ProgressUnit

RowStatus = Literal["ok", "failed", "crashed", "oom", "timeout", "cancelled", "unavailable", "skipped"]
Stage = Literal["waiting", "loading", "running", "timing", "done"]
JobState = Literal["queued", "running", "done", "cancelled", "failed"]
Mode = Literal["restore", "as-is"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProtocolScores(_Document):
    """Scores of one picture under one protocol. Metrics that were asked for stand beside the fields, under their ids."""

    model_config = ConfigDict(extra="allow")
    # Pydantic checks them by this type.
    __pydantic_extra__: dict[str, float | None] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    mse: float | None
    """Mean squared error in levels²; None when the border cut leaves nothing."""
    psnr_db: float | None
    """Peak signal-to-noise ratio in dB; None when undefined or when the pictures are identical."""
    ssim: float | None
    """Structural similarity; None when a side is under 11 pixels after the border cut."""
    identical: bool = False
    """Whether both pictures have the same pixels: PSNR is then infinite."""
    reason: str | None = None
    """Why a score is None."""
    fingerprint: str
    """Id of everything that the score depends on; scores with different ids never share a ranking."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why a metric that was asked for is None, by its id."""

    @property
    def more(self) -> dict[str, float | None]:
        """The metrics that were asked for, by id."""
        return self.__pydantic_extra__


class GivenFile(_Document):
    """The file of a result that was added: another tool's work, not run here."""

    name: str
    """What the file was called, without its ending, as `core.image.safe_stem` gives it."""
    sha256: str
    notes: list[str] = Field(default_factory=list)
    """Each conversion that was made on the way in, a sentence each."""


class Row(_Document):
    """What one upscaler did with one picture. Times in seconds, memory in MiB."""

    upscaler: str
    name: str | None = None
    """The upscaler's name for people when this was planned: it may have been removed since. None in rows of older versions."""
    given: GivenFile | None = None
    """Where the result was added instead of computed: its file. Such a row has no times, and `runtime` says `given`."""
    aim: Aim | None = None
    """Likewise its aim."""
    scale: float
    runtime: str
    precision: str
    device: str | None = None
    threads: int
    workers: int = 1
    """Calls that ran side by side on the machine; times of rows with more than one never rank with exclusive ones."""
    tile: int | None = None
    """Side of the tiles in input pixels; None when the picture was run whole."""
    tile_dependent: bool = False
    """Whether those tiles have changed its pixels, because the model looks at the whole picture."""
    tile_limit: int | None = None
    """The side that a person asked for, or to which tiles were halved; None: the upscaler's own."""
    tile_note: str | None = None
    """Why tiles were made smaller than asked for: memory ran out before."""
    options: dict[str, OptionValue] = Field(default_factory=dict)
    seed: int | None = None
    """What a stochastic upscaler started from; None for one that draws nothing."""
    status: RowStatus | None = None
    """None until the row is finished or its picture is there."""
    reason: str | None = None
    """One line: what went wrong and what helps."""
    contended: bool | None = None
    """Whether other programs used more than a fifth of the machine during the timed calls; None when that was not measured."""
    runtime_version: str | None = None
    """Library and version that ran it."""
    weights_sha256: str | None = None
    """Hash of the weight file, several joined by `+`; of a model that is a folder of files, one hash over all of them."""
    verified_weights: bool | None = None
    lr_source: str
    """Where the small picture comes from: the id of a downscale method, `file` when it was given beside the original, or `input` when a
    picture is upscaled as it is."""
    width: int | None = None
    height: int | None = None
    load_s: float | None = None
    """From the request to a model in memory; libraries were imported before."""
    import_s: float | None = None
    """Import of the runtime's libraries in the model's process, where it was not done ahead."""
    first_s: float | None = None
    """First call on this picture, picture in to picture out."""
    was_warm: bool | None = None
    """Whether the model was in memory from an earlier comparison; `load_s` is then that of its loading."""
    waited_s: float | None = None
    """From starting the model's process to its picture: what a person waits for."""
    warm_p50_s: float | None = None
    warm_p95_s: float | None = None
    repeats: int = 0
    """Warm calls after the first."""
    timing_note: str | None = None
    """Why there is no warm time, or what to know about it."""
    output_mp_per_s: float | None = None
    """Output megapixels per second, of the median warm call or, for a model run once, of the first."""
    peak_rss_mib: float | None = None
    """Largest resident memory of the model's process during the first call."""
    base_rss_mib: float | None = None
    """Resident memory of that process just before, the loaded model included."""
    peak_vram_mib: float | None = None
    output_path: str | None = None
    """File name of the result beside the document."""
    fingerprint: str | None = None
    """Fingerprint under `rgb`; each protocol's scores carry their own."""
    scores: dict[str, ProtocolScores] | None = None
    """Under `rgb`, `y` and `y-float`; None without an original."""
    lr_consistency: float | None = None
    """PSNR in dB of the result, shrunk to the size of the small picture, against the small picture; None when both are identical."""
    colour_shift: float | None = None
    """Mean CIEDE2000 of the same two pictures."""
    lr_identical: bool | None = None
    """Whether the same two have the same pixels; None in rows without a picture and in those of older versions."""
    lr_downscale: str | None = None
    """The method by which the result was shrunk for this."""
    lr_fingerprint: str | None = None
    """Id of everything that these scores depend on."""
    trained_for_another: str | None = None
    """The downscale method that the weights were trained for, where it is not the one used."""
    stage: Stage = "waiting"
    tiles_done: int = 0
    tiles_total: int = 0
    progress_unit: ProgressUnit = "tile"
    """What `tiles_done` and `tiles_total` count: tiles, or steps, of which each tile has its own."""
    expected_s: float | None = None
    """What one call was expected to take."""
    started_at: str | None = None
    """When its turn came: UTC, ISO 8601."""

    def again(self, tile_px: int | None = None) -> "Row":
        """A waiting row for the same work, with these tiles or, for None, those of before."""
        planned = {name: getattr(self, name) for name in _PLANNED}
        return Row(**{**planned, "tile_limit": tile_px or self.tile_limit})

    def forget_result(self) -> None:
        """Drop the picture and what was said about it: of one that was not kept nothing may be claimed."""
        self.output_path = self.scores = self.fingerprint = None
        self.lr_consistency = self.colour_shift = self.lr_identical = self.lr_downscale = self.lr_fingerprint = None

    def remaining_s(self, elapsed_s: float) -> float | None:
        """What is left of the expected time until its picture is there, `elapsed_s` after its start; None when nothing is known."""
        if self.stage in ("timing", "done"):
            return 0.0
        return None if self.expected_s is None else max(0.0, self.expected_s - elapsed_s)


_PLANNED = (
    *("upscaler", "name", "aim", "scale", "runtime", "precision", "threads", "options", "seed", "progress_unit"),
    *("lr_source", "trained_for_another", "expected_s"),
)
"""What a row holds before anything has run."""


class Region(_Document):
    """A part of a picture, in pixels of the picture as it is shown, not as its file may be turned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x: int = Field(ge=0)
    """Left edge."""
    y: int = Field(ge=0)
    """Upper edge."""
    width: int = Field(ge=1)
    height: int = Field(ge=1)

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """This part of a picture, `(height, width, ...)`, as a view."""
        return picture[self.y : self.y + self.height, self.x : self.x + self.width]


class ImageFacts(_Document):
    """The picture that is compared, or the region of it."""

    name: str
    sha256: str
    """Of the file as it was given."""
    width: int
    height: int
    """After cropping to a multiple of the scale."""
    whole_width: int | None = None
    """Of the picture from which the region was cut; None where there is no region."""
    whole_height: int | None = None
    stored_channels: int
    has_alpha: bool
    notes: list[str]
    """Each conversion that was made on the way in, a sentence each."""


class Comparison(_Document):
    """One comparison: `job.json` in its directory."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    id: str
    user: str
    created_at: str
    """UTC, ISO 8601."""
    queued_at: str | None = None
    """When it last began to wait, where it was run again in part: UTC, ISO 8601. None: at its creation."""
    finished_at: str | None = None
    """UTC, ISO 8601."""
    state: JobState = "queued"
    reason: str | None = None
    """Why the comparison as a whole failed or stopped."""
    mode: Mode
    scale: float
    downscale: str
    """The method that made the small picture; unused where that was given."""
    lr_sha256: str | None = None
    """Of the file of the small picture, where it was given and not made here."""
    seed: int | None = None
    metrics: list[str] = Field(default_factory=list)
    """Names of the metrics that were asked for beyond those that every comparison has: `ms-ssim`."""
    repeats: int | None = None
    """Exactly so many warm calls each; None: as many as half a second holds, at most 20."""
    region: Region | None = None
    """The part that is compared; None for the whole picture."""
    image: ImageFacts | None = None
    """None until the picture has been read."""
    original_path: str | None = None
    whole_path: str | None = None
    """The picture from which the region was cut, so that the whole of it can be run; None where there is no region."""
    whole_downscaled_path: str | None = None
    """Likewise the whole of a small picture that was given; None where it was made here."""
    downscaled_path: str | None = None
    downscaled_width: int | None = None
    downscaled_height: int | None = None
    machine: dict[str, str | int | float | None] = Field(default_factory=dict)
    host_pid: int | None = None
    host_mark: str | None = None
    """Start of that process, which tells it from a later one with its number."""
    revision: int = 0
    """Grows with every write."""
    pinned: bool = False
    """Kept for ever."""
    rows: list[Row]

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")
