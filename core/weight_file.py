"""A published weight file, and the places below the cache that belong to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.settings import settings
from core.weight_hashes import SHA256, read_json
from core.weight_sources import Source

RECORD_SUFFIX = ".first.json"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A published weight file."""

    name: str
    """The name looked for in directories, such as `FSRCNN_x2.pb`, or a path such as `sd-x4-upscaler/unet/config.json` for a model that is
    a folder of files. No two files of the catalogue share one."""
    source: Source
    sha256: str | None
    """The published hash, 64 lower-case hexadecimal digits. None: none is published. It is never invented."""
    size_bytes: int | None
    role: str = "weights"
    """What the adapter calls it."""
    optional: bool = False
    """True: only some option of the model needs it."""

    def __post_init__(self) -> None:
        # A leading dot and the suffix are kept for what lies beside cached files: locks, parts and records.
        strange = not self.name.isprintable() or any(character in self.name for character in "\\:") or self.name.endswith(RECORD_SUFFIX)
        if strange or any(not part or part.startswith(".") for part in self.name.split("/")):
            raise ValueError(f"Expected a file name or a path below a folder, got {self.name!r}.")
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.name}: expected 64 lower-case hexadecimal digits or None as sha256, got {self.sha256!r}.")

    @property
    def cached(self) -> Path:
        """Where the file lies once it was fetched."""
        return settings().weight_cache / self.name

    @property
    def part_folder(self) -> Path:
        """What has arrived of a file that is not whole yet."""
        return self.cached.with_name(f".{self.cached.name}.part")

    @property
    def lock(self) -> Path:
        """The lock of whoever changes one of the others."""
        return self.cached.with_name(f".{self.cached.name}.lock")

    @property
    def first_record(self) -> Path:
        """Of a file whose hash is not published: the hash that it had when it was first fetched. It outlives the file."""
        return self.cached.with_name(f"{self.cached.name}{RECORD_SUFFIX}")

    def expected_sha256(self) -> str | None:
        """The published hash or, where none is published, that of the first fetch from the same source; None if neither is known."""
        if self.sha256 is not None:
            return self.sha256
        match read_json(self.first_record):
            case {"source": self.source.origin, "sha256": str(sha256)} if SHA256.fullmatch(sha256):
                return sha256
            case _:  # damaged, or written when the catalogue named another source
                return None


@dataclass(frozen=True)
class LocatedWeights:
    """A weight file on this machine."""

    path: Path
    sha256: str
    """The hash of the bytes that lie there."""
    verified: bool
    """True if that is the published hash; False if it is another, or none is published."""
    origin: Literal["directory", "cache", "models"]
