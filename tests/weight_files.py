"""What the tests of weight files share."""

import hashlib
from pathlib import Path

import pytest

from core.errors import WeightsError
from core.weights import HttpSource, WeightFile, fetch

BODY = bytes(range(256)) * 1200  # 307,200 bytes: several blocks of the client and of the server
NAME = "net_x2.pb"


def sha256_hex(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def published(url: str, *, sha256: str | None = sha256_hex(BODY), size_bytes: int | None = len(BODY)) -> WeightFile:
    return WeightFile(name=NAME, source=HttpSource(url), sha256=sha256, size_bytes=size_bytes)


def unpublished_hash(url: str) -> WeightFile:
    return published(url, sha256=None, size_bytes=None)


def left_in(cache: Path) -> set[str]:
    """What lies in the cache beside locks."""
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"}


def refusal(file: WeightFile) -> str:
    """The line with which fetching `file` is refused."""
    with pytest.raises(WeightsError) as caught:
        fetch(file)
    line = str(caught.value)
    assert "\n" not in line
    assert NAME in line
    return line
