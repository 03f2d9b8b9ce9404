"""A region of a picture is compared as if it were the picture, says so, and tells what the whole will cost."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import upscalers
from benchmark import estimates, jobs
from benchmark.plan import Plan
from benchmark.regions import check_region, needs_region, parse_region, region_at
from benchmark.schema import Region
from benchmark.workers.local_engine import LocalEngine
from core.errors import UsageError
from tests.engine_helpers import directory, run
from tests.pictures import png, scene


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine()
    yield made
    made.close()


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize(
    ("center", "size", "expected"),
    [
        ((0.5, 0.5), (2000, 1000), (744, 244, 512, 512)),
        ((0.0, 0.0), (2000, 1000), (0, 0, 512, 512)),
        ((1.0, 1.0), (2000, 1000), (1488, 488, 512, 512)),
        ((0.5, 0.5), (2000, 300), (744, 0, 512, 300)),
        ((0.25, 0.9), (600, 513), (0, 1, 512, 512)),
    ],
)
def test_a_region_lies_around_its_point_and_inside_the_picture(
    center: tuple[float, float], size: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    region = region_at(*center, *size, "restore")
    assert (region.x, region.y, region.width, region.height) == expected
    check_region(region, *size)


def test_only_pictures_larger_than_a_region_have_one() -> None:
    assert [needs_region(*size, "restore") for size in ((512, 512), (517, 389), (513, 512), (512, 513))] == [False, False, True, True]
    assert [needs_region(*size, "as-is") for size in ((256, 256), (65, 1000), (257, 256), (66, 1000))] == [False, False, True, True]
    assert region_at(0.5, 0.5, 1000, 1000, "as-is").width == 256


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,10,10", "0,0,0,10", "0,0,10,0", "0,0,1.5,10", "0,0,9999999,9", "²,0,1,1"]
)
def test_what_is_no_region_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="such as 100,50,512,512"):
        parse_region(text)


def test_a_region_outside_the_picture_is_refused_with_both_sizes() -> None:
    with pytest.raises(UsageError, match=r"ends at 110,60, and the picture has 100×80"):
        check_region(Region(x=10, y=10, width=100, height=50), 100, 80)


def test_a_region_gives_the_pixels_and_scores_of_its_part_cut_out_before(engine: LocalEngine) -> None:
    whole = scene(200, 160)
    part = whole[31:131, 20:141]
    region = Region(x=20, y=31, width=121, height=100)
    ids = ["bicubic", "opencv-espcn"]
    of_region = run(engine, Plan(scale=3, upscaler_ids=ids, region=region, repeats=0), png(whole))
    of_part = run(engine, Plan(scale=3, upscaler_ids=ids, repeats=0), png(part))
    assert of_region.image is not None
    assert (of_region.image.width, of_region.image.height) == (120, 99)
    assert (of_region.image.whole_width, of_region.image.whole_height) == (200, 160)
    assert "Cropped to 120×99, a multiple of 3." in of_region.image.notes
    for one, other in zip(of_region.rows, of_part.rows, strict=True):
        assert one.status == "ok"
        assert one.output_path == other.output_path
        assert one.scores is not None
        assert other.scores is not None
        assert one.scores["rgb"].psnr_db == other.scores["rgb"].psnr_db
        # The same pixels, but a region chosen by a person: they share no ranking.
        assert one.fingerprint != other.fingerprint
    folder = directory(engine, of_region)
    assert np.array_equal(pixels(folder / str(of_region.original_path)), part[:99, :120])
    assert np.array_equal(pixels(folder / str(of_region.whole_path)), whole)
    assert of_part.whole_path is None
    assert jobs.load(folder).region == region


def test_transparency_is_cut_with_the_region(engine: LocalEngine) -> None:
    whole = np.dstack([scene(90, 80), np.linspace(0, 255, 80 * 90).reshape(80, 90).astype(np.uint8)])
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], region=Region(x=10, y=20, width=40, height=30), repeats=0), png(whole))
    stored = np.asarray(Image.open(directory(engine, job) / str(job.original_path)))
    assert np.array_equal(stored, whole[20:50, 10:50])


def test_upscaling_as_is_takes_the_region_too(engine: LocalEngine) -> None:
    whole = scene(90, 80)
    plan = Plan(scale=2, upscaler_ids=["nearest"], mode="as-is", region=Region(x=10, y=20, width=40, height=30), repeats=0)
    job = run(engine, plan, png(whole))
    result = pixels(directory(engine, job) / str(job.rows[0].output_path))
    assert np.array_equal(result, whole[20:50, 10:50].repeat(2, axis=0).repeat(2, axis=1))


def test_a_region_that_the_picture_does_not_have_ends_the_comparison_with_the_reason(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], region=Region(x=50, y=0, width=100, height=30)), png(scene(90, 80)))
    assert job.state == "failed"
    assert "the picture has 90×80 pixels" in str(job.reason)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cli", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line_takes_a_region(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(scene(120, 100)))
    given = ("compare", tmp_path / "a.png", "--scale", "2", "--upscalers", "bicubic", "--repeats", "0", "--region")
    done = command(*given, "8,4,64,32", "--json")
    document = json.loads(done.stdout)
    assert document["region"] == {"x": 8, "y": 4, "width": 64, "height": 32}
    assert (document["rows"][0]["width"], document["rows"][0]["height"]) == (64, 32)
    assert "64×32 at 8,4" in command(*given, "8,4,64,32").stdout
    for text, words in (("8,4,64", "Expected a region as X,Y,WIDTH,HEIGHT"), ("100,4,64,32", "the picture has 120×100 pixels")):
        refused = command(*given, text)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert words in refused.stderr


# What the whole will cost


def test_overlaps_of_tiles_are_counted_in_the_expected_time() -> None:
    spec = upscalers.get("realesr-general-x4v3")
    assert spec.tiling[4].tile_px == 1024
    assert spec.tiling[4].overlap_px == 40
    assert estimates.processed_pixels(spec, 4, 300, 500) == 150_000
    # Two halves, each with 40 px of the other: 1.04 of the 1.05 megapixels that a tile may have.
    assert estimates.processed_pixels(spec, 4, 1000, 2000) == 1000 * (2000 + 2 * 40)
    assert estimates.processed_pixels(upscalers.get("bicubic"), 4, 1000, 2000) == 1000 * 2000


def test_expected_memory_grows_with_the_tile_and_then_only_with_the_pictures() -> None:
    spec = upscalers.get("realesr-general-x4v3")

    def expected(height: int, width: int) -> float:
        value = estimates.expected_memory_mib(spec, 4, "torch", "f32", height, width)
        assert value is not None
        return value

    assert estimates.expected_memory_mib(spec, 4, "torch", "f32", 128, 128) is None
    pictures = 3 * 128 * 128 * 17 / 2**20
    estimates.record_memory(spec, 4, "torch", "f32", (128, 128), 400.0, 500.0)
    assert expected(128, 128) == pytest.approx(500)
    assert expected(256, 256) == pytest.approx(400 + 4 * (100 - pictures) + 4 * pictures)
    # Two rows of cores of 1000 px and four columns of 750 px: 40 px more at each side where there is a neighbour.
    largest = 1040 * 830 / 128**2 * (100 - pictures)
    assert expected(2000, 3000) == pytest.approx(400 + largest + 3 * 2000 * 3000 * 17 / 2**20)
    # A smaller tile says less and changes nothing, a larger one replaces it.
    estimates.record_memory(spec, 4, "torch", "f32", (70, 70), 400.0, 900.0)
    assert expected(128, 128) == pytest.approx(500)
    estimates.record_memory(spec, 4, "torch", "f32", (256, 256), 400.0, 700.0)
    assert expected(256, 256) == pytest.approx(700)
    estimates.forget(spec.id)
    assert estimates.expected_memory_mib(spec, 4, "torch", "f32", 128, 128) is None


def test_a_comparison_leaves_what_it_needed_for_the_next_estimate(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["opencv-fsrcnn"], repeats=0), png(scene(300, 300)))
    row = job.rows[0]
    assert row.base_rss_mib is not None
    assert row.peak_rss_mib is not None
    assert 0 < row.base_rss_mib <= row.peak_rss_mib
    again = estimates.expected_memory_mib(upscalers.get("opencv-fsrcnn"), 2, row.runtime, "f32", 150, 150)
    assert again == pytest.approx(row.peak_rss_mib, abs=2)
