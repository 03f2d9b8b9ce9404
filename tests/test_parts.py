"""Parts of large stored pictures: the pixels are the picture's own, and nothing but the asked part is made."""

import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmark import jobs, parts
from core.errors import UsageError
from tests.pictures import noise
from ui.image_route import picture_url, routes

WIDTH, HEIGHT = 2401, 1701
"""Odd, and just above four million pixels."""


def read(png_bytes: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png_bytes)) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    return noise(WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, large: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    return folder / jobs.keep_picture(folder, large)


def test_a_part_has_the_pictures_own_pixels(stored: Path, large: np.ndarray) -> None:
    np.testing.assert_array_equal(read(parts.cut(stored, 0, 900, 33, 320, 200)), large[33:233, 900:1220])


def test_a_part_beyond_the_edge_ends_there(stored: Path, large: np.ndarray) -> None:
    np.testing.assert_array_equal(read(parts.cut(stored, 0, WIDTH - 5, HEIGHT - 3, 100, 100)), large[-3:, -5:])


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_reduced_part_has_the_mean_of_its_pixels(stored: Path, large: np.ndarray, level: int) -> None:
    factor = 2**level
    part = read(parts.cut(stored, level, 10, 7, 40, 30))
    block = large[7 * factor : 37 * factor, 10 * factor : 50 * factor].astype(float)
    mean = block.reshape(30, factor, 40, factor, 3).mean(axis=(1, 3))
    # Each halving rounds to whole levels.
    assert np.abs(part - mean).max() <= 0.5 * level


def test_a_transparent_picture_keeps_its_alpha_and_hidden_colours_do_not_bleed(tmp_path: Path) -> None:
    rgb, alpha = np.full((HEIGHT, WIDTH, 3), 200, np.uint8), np.full((HEIGHT, WIDTH), 255, np.uint8)
    rgb[:, ::2], alpha[:, ::2] = 0, 0
    path = tmp_path / jobs.keep_picture(tmp_path, rgb, alpha)
    whole, half = read(parts.cut(path, 0, 0, 0, 8, 2)), read(parts.cut(path, 1, 0, 0, 8, 2))
    np.testing.assert_array_equal(whole, np.dstack([rgb, alpha])[:2, :8])
    assert set(half[..., 3].ravel()) <= {127, 128}
    assert np.abs(half[..., :3].astype(int) - 200).max() <= 1


def test_missing_levels_are_made_once_even_when_asked_for_together(
    stored: Path, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in stored.parent.glob("*.npy"):
        file.unlink()
    made: list[Path] = []
    keep = parts.keep_levels

    def keep_and_count(path: Path, rgb: np.ndarray, alpha: np.ndarray | None) -> None:
        made.append(path)
        keep(path, rgb, alpha)

    monkeypatch.setattr(parts, "keep_levels", keep_and_count)
    with ThreadPoolExecutor(4) as pool:
        cuts = list(pool.map(lambda _: parts.cut(stored, 0, 5, 6, 7, 8), range(8)))
    assert made == [stored]
    assert all(np.array_equal(read(cut), large[6:14, 5:12]) for cut in cuts)


def test_the_last_level_is_small(stored: Path) -> None:
    last = parts.levels_of(WIDTH, HEIGHT)
    assert read(parts.cut(stored, last, 0, 0, 4000, 900)).shape[1] <= parts.SMALLEST_PX
    assert read(parts.cut(stored, last - 1, 0, 0, 4000, 900)).shape[1] > parts.SMALLEST_PX
    with pytest.raises(UsageError, match="has no parts of level"):
        parts.cut(stored, last + 1, 0, 0, 1, 1)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 5000, 5000), (WIDTH, 0, 5, 5)])
def test_a_part_that_cannot_be_is_refused(stored: Path, box: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="part"):
        parts.cut(stored, 0, *box)


def test_a_small_picture_has_no_parts(tmp_path: Path) -> None:
    name = jobs.keep_picture(tmp_path, noise(50, 40))
    assert [file.name for file in tmp_path.iterdir()] == [name]
    with pytest.raises(UsageError, match="50x40"):
        parts.cut(tmp_path / name, 0, 0, 0, 5, 5)


def test_a_full_disk_costs_the_parts_and_not_the_picture(tmp_path: Path, large: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.np, "save", full)
    name = jobs.keep_picture(tmp_path, large)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(read((tmp_path / name).read_bytes()), large)


# -- their address -------------------------------------------------------------------------------------------------


@pytest.fixture
def address(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, str]]:
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(tmp_path))
    shutil.copytree(stored.parent, tmp_path / "comparisons" / ("a" * 16))
    with TestClient(Starlette(routes=routes())) as client:
        yield client, picture_url("a" * 16, stored.name)


def test_the_address_of_a_part_gives_it_and_may_be_kept_for_ever(address: tuple[TestClient, str], large: np.ndarray) -> None:
    client, url = address
    answer = client.get(f"{url}/parts/0/32,64,96,80")
    np.testing.assert_array_equal(read(answer.content), large[64:144, 32:128])
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("part", ["0/1,2,3", "0/a,b,c,d", "0/0,0,9999,9999", "77/0,0,1,1"])
def test_a_wrong_part_is_a_bad_request_in_one_line(address: tuple[TestClient, str], part: str) -> None:
    client, url = address
    answer = client.get(f"{url}/parts/{part}")
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 1


def test_a_part_of_a_deleted_picture_is_not_found(address: tuple[TestClient, str], tmp_path: Path) -> None:
    client, url = address
    assert client.get(f"{url}/parts/0/0,0,5,5").status_code == 200
    shutil.rmtree(tmp_path / "comparisons" / ("a" * 16))
    assert client.get(f"{url}/parts/0/0,0,5,5").status_code == 404
