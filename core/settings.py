"""Settings, read from the environment variables `UPSCALE_BENCH_*`.

Read them through `settings()` at the moment of use: tests and the command line may change the environment.
"""

import functools
import os
from pathlib import Path

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import UsageError

MIB = 1024 * 1024
_READ_FROM = ("UPSCALE_BENCH_", "HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_DATA_HOME")
"""How the names of the variables begin that settings follow from, the user data directory among them."""


class Settings(BaseSettings):
    """All settings; each field `x` is read from `UPSCALE_BENCH_X`."""

    model_config = SettingsConfigDict(env_prefix="UPSCALE_BENCH_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("upscale-bench", appauthor=False)))
    """Where all state lies: comparisons, downloaded weights, measured speeds."""
    weights: str = ""
    """Directories with weight files that the user chose himself, separated like PATH; searched before the cache."""
    datasets: str = ""
    """Directories, separated like PATH: where they are given, the web page reads folders below them and no others."""
    plugins: str = ""
    """Modules, separated by commas, that register further upscalers when the registry is first read."""
    offline: bool = False
    """Never open a network connection."""

    max_input_mp: float = 25.0
    """Largest accepted picture, in megapixels (10^6 pixels)."""
    max_input_side: int = 16_384
    """Longest accepted side, in pixels."""
    max_input_bytes: int = 50 * MIB
    """Largest accepted file, in bytes."""
    max_output_mp: float = 85.0
    """Largest result, in megapixels: Pillow warns when it reads more than 89 MP."""

    model_memory_mib: int = 3 * 1024
    """What one call may use beside the loaded model, in MiB; more ends the call with status `oom`."""
    warm_memory_mib: int = 6 * 1024
    """What all loaded models together may hold, in MiB; above it the least recently used are unloaded."""
    check_timeout_s: float = 120.0
    """How long the check of an added model file may take, in seconds."""
    check_memory_mib: int = 6 * 1024
    """What that check may use in all, in MiB."""
    stall_timeout_s: float = 900.0
    """A model that reports no finished tile for so many seconds is ended with status `timeout`."""
    max_jobs: int = 50
    """Comparisons that may wait or run at once."""
    max_jobs_per_user: int = 3
    """The same for one user."""
    keep_days: int = 30
    """Comparisons older than this are deleted."""
    warm_up: bool = True
    """Whether a server imports the large libraries as soon as it starts, so that the first comparison need not wait for them."""
    torch_compile: bool = False
    """Whether PyTorch networks are compiled on an NVIDIA GPU: faster from then on, but the first picture of each size waits a minute."""
    max_store_mib: int = 10 * 1024
    """When the stored comparisons need more than this, the oldest are deleted."""

    @property
    def weight_directories(self) -> list[Path]:
        """The directories of `weights`, in search order."""
        return [Path(part).expanduser() for part in self.weights.split(os.pathsep) if part]

    @property
    def dataset_directories(self) -> list[Path]:
        """The directories of `datasets`."""
        return [Path(part).expanduser() for part in self.datasets.split(os.pathsep) if part]

    @property
    def weight_cache(self) -> Path:
        """Where downloaded weight files are kept."""
        return self.home / "weights"

    @property
    def models(self) -> Path:
        """Where the models that a person added are kept, one directory each."""
        return self.home / "models"

    @property
    def converted(self) -> Path:
        """Where networks converted for a faster runtime are kept."""
        return self.home / "converted"

    @property
    def comparisons(self) -> Path:
        """Where comparisons are kept, one directory each."""
        return self.home / "comparisons"


def settings() -> Settings:
    """The settings as the environment has them now. Raises `core.errors.UsageError` for a value that can't be read."""
    # Reading them takes a millisecond, and a page asks some hundred times for each click.
    return _read(tuple((name, value) for name, value in os.environ.items() if name.upper().startswith(_READ_FROM)))


@functools.lru_cache(maxsize=4)
def _read(_environment: tuple[tuple[str, str], ...]) -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"UPSCALE_BENCH_{name} can't be used as {first['input']!r}: {first['msg']}.") from error
