"""A small picture of one's own: used as it is, told from all others, and refused when it does not fit."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from benchmark import export, given_small, jobs
from benchmark.given_small import Upload
from benchmark.plan import Plan
from benchmark.presentation.results import shown_pictures
from benchmark.presentation.table import table
from benchmark.schema import Comparison, Region
from benchmark.workers.local_engine import LocalEngine
from core.errors import ImageError, UsageError
from tests.engine_helpers import directory, run, wait_until
from tests.pictures import noise, png, scene

PLAN = Plan(scale=2, upscaler_ids=["bicubic", "opencv-espcn"], repeats=0)
BICUBIC = Plan(scale=2, upscaler_ids=["bicubic"], repeats=0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    made = LocalEngine(tmp_path_factory.mktemp("comparisons"))
    yield made
    made.close()


def run_with(engine: LocalEngine, small: np.ndarray, source: bytes, plan: Plan = BICUBIC) -> Comparison:
    job_id = engine.submit(plan, source, name="picture.png", user="tester", small=Upload(png(small), "small.png"))
    wait_until(lambda: not engine.load(job_id).active)
    return engine.load(job_id)


@pytest.mark.parametrize(
    ("small", "original", "scale"), [((64, 64), (256, 256), 4), ((30, 21), (60, 42), 2), ((30, 21), (61, 43), 2), ((1, 1), (15, 8), 8)]
)
def test_the_original_may_be_larger_by_what_the_scale_leaves_over(small: tuple[int, int], original: tuple[int, int], scale: int) -> None:
    given_small.check(small, original, scale)
    width, height = original
    # From the next multiple of the scale on, another pixel of the small picture would be missing.
    for larger in ((width + scale - width % scale, height), (width, height + scale - height % scale)):
        with pytest.raises(ImageError):
            given_small.check(small, larger, scale)


@pytest.mark.parametrize(
    ("small", "original", "scale", "advice"),
    [
        ((64, 64), (256, 256), 2, "at x2 the small one must be 128×128. They fit at x4."),
        ((31, 21), (61, 43), 2, "at x2 the small one must be 30×21. Choose the pair that fits."),
        ((64, 63), (256, 256), 4, "at x4 the small one must be 64×64. Choose the pair that fits."),
        ((256, 256), (64, 64), 4, "at x4 the small one must be 16×16. Choose the pair that fits."),
    ],
)
def test_what_does_not_fit_is_one_line_with_both_sizes(small: tuple[int, int], original: tuple[int, int], scale: int, advice: str) -> None:
    with pytest.raises(ImageError) as error:
        given_small.check(small, original, scale)
    sizes = f"The small picture is {small[0]}×{small[1]} and the original {original[0]}×{original[1]}: "
    assert str(error.value) == sizes + advice


def test_it_is_what_the_upscalers_get_and_the_original_stays_what_is_scored_against(engine: LocalEngine) -> None:
    small, original = noise(30, 21), scene(61, 43)
    job = run_with(engine, small, png(original))
    assert job.state == "done", job.reason
    row, folder = job.rows[0], directory(engine, job)
    result = np.asarray(Image.open(folder / str(row.output_path)))
    np.testing.assert_array_equal(np.asarray(Image.open(folder / str(job.downscaled_path))), small)
    np.testing.assert_array_equal(result, np.asarray(Image.fromarray(small).resize((60, 42), Image.Resampling.BICUBIC)))
    assert row.scores is not None
    assert row.scores["rgb"].mse == pytest.approx(np.mean((result.astype(float) - original[:42, :60]) ** 2), abs=1e-9)
    shrunk = np.asarray(Image.fromarray(result).resize((30, 21), Image.Resampling.BICUBIC)).astype(float)
    assert row.lr_consistency == pytest.approx(10 * np.log10(65025 / np.mean((shrunk - small) ** 2)), abs=1e-9)
    assert row.lr_downscale == "bicubic"
    assert "Shrunk again by bicubic" in table(job, "rgb")
    assert row.lr_source == "file"
    assert job.lr_sha256 == hashlib.sha256(png(small)).hexdigest()
    assert job.image is not None
    assert "The small picture is your own." in job.image.notes
    assert [picture.label for picture in shown_pictures(job, str)][:2] == ["Original", "Your small version"]
    document = export.document(job)
    assert (document["downscale"], document["lr_sha256"]) == (None, job.lr_sha256)
    assert not [path for path in folder.iterdir() if path.name in (jobs.SOURCE, jobs.SOURCE_NAME, *given_small.FILES)]


def test_its_scores_are_never_ranked_with_others_even_where_the_pixels_are_the_same(engine: LocalEngine) -> None:
    source = png(scene(60, 42))
    made_here = run(engine, BICUBIC, source)
    small = np.asarray(Image.open(directory(engine, made_here) / str(made_here.downscaled_path)))
    other = small.copy()
    other[0, 0] ^= 1
    same, again, another = (run_with(engine, each, source) for each in (small, small, other))
    scores = [job.rows[0].scores for job in (made_here, same, again, another)]
    assert all(scores)
    for protocol in ("rgb", "y", "y-float"):
        of_protocol = [each[protocol] for each in scores if each]
        assert of_protocol[0].psnr_db == of_protocol[1].psnr_db
        assert of_protocol[1].fingerprint == of_protocol[2].fingerprint
        assert len({each.fingerprint for each in of_protocol}) == 3
    assert len({job.rows[0].lr_fingerprint for job in (made_here, same, again, another)}) == 3


def test_nobody_is_said_to_be_trained_for_another_downscale_when_it_is_not_known(engine: LocalEngine) -> None:
    made_here = PLAN.rows()
    assert made_here[1].trained_for_another is None or made_here[1].trained_for_another != "bicubic"
    assert [row.trained_for_another for row in Plan(scale=2, upscaler_ids=["opencv-espcn"], downscale="area").rows()] != [None]
    job = run_with(engine, noise(30, 21), png(scene(60, 42)), PLAN)
    assert [row.trained_for_another for row in job.rows] == [None, None]


def test_a_pair_that_does_not_fit_ends_as_one_line(engine: LocalEngine) -> None:
    job = run_with(engine, noise(31, 21), png(scene(60, 42)))
    assert job.state == "failed"
    assert job.reason is not None
    assert "31×21 and the original 60×42" in job.reason
    assert job.rows[0].scores is None


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(scale=2, upscaler_ids=["bicubic"], mode="as-is"), "takes only the one"),
        (Plan(scale=2, upscaler_ids=["bicubic"], downscale="area"), "leave the downscale method 'area' out"),
    ],
)
def test_a_plan_without_use_for_it_is_refused_before_anything_is_written(engine: LocalEngine, plan: Plan, words: str) -> None:
    before = set(engine.root.iterdir())
    with pytest.raises(UsageError, match=words):
        engine.submit(plan, png(scene(60, 42)), name="a.png", user="a", small=Upload(png(noise(30, 21)), "small.png"))
    assert set(engine.root.iterdir()) == before


def test_transparency_of_the_small_picture_is_the_results(engine: LocalEngine) -> None:
    small = np.dstack([noise(30, 21), np.full((21, 30), 128, np.uint8)])
    job = run_with(engine, small, png(scene(60, 42)))
    result = Image.open(directory(engine, job) / str(job.rows[0].output_path))
    assert result.mode == "RGBA"
    assert result.getchannel("A").getextrema() == (128, 128)
    assert job.image is not None
    assert "Transparency is enlarged separately by bicubic; scores are taken on white." in job.image.notes


def test_a_region_takes_its_part_of_the_small_picture(engine: LocalEngine) -> None:
    small, original = noise(30, 21), scene(61, 43)
    plan = Plan(scale=2, upscaler_ids=["bicubic"], region=Region(x=6, y=4, width=20, height=17), repeats=0)
    job = run_with(engine, small, png(original), plan)
    assert job.state == "done", job.reason
    row, folder = job.rows[0], directory(engine, job)
    part = small[2:10, 3:13]
    np.testing.assert_array_equal(np.asarray(Image.open(folder / str(job.downscaled_path))), part)
    np.testing.assert_array_equal(np.asarray(Image.open(folder / str(job.whole_downscaled_path))), small)
    result = np.asarray(Image.fromarray(part).resize((20, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(np.asarray(Image.open(folder / str(row.output_path))), result)
    assert row.scores is not None
    assert row.scores["rgb"].mse == pytest.approx(np.mean((result.astype(float) - original[4:20, 6:26]) ** 2), abs=1e-9)


def test_a_region_between_pixels_of_the_small_picture_is_moved_or_refused(engine: LocalEngine) -> None:
    between = Region(x=7, y=5, width=20, height=16)
    assert given_small.aligned(between, 2) == Region(x=6, y=4, width=20, height=16)
    assert given_small.aligned(given_small.aligned(between, 3), 3) == Region(x=6, y=3, width=20, height=16)
    plan = Plan(scale=2, upscaler_ids=["bicubic"], region=between)
    with pytest.raises(UsageError, match=r"begins at 7,5: .* multiples of the scale, 2\. The nearest place is 6,4\.$"):
        engine.submit(plan, png(scene(61, 43)), name="a.png", user="a", small=Upload(png(noise(30, 21)), "small.png"))
