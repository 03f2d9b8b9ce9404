"""Results of other tools that join a comparison: scored like the models', kept with it, never timed."""

import csv
import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import upscalers
from benchmark import export, given, jobs
from benchmark.given_small import Upload
from benchmark.labels import label_of
from benchmark.plan import Plan
from benchmark.presentation.results import shown_pictures
from benchmark.presentation.table import table
from benchmark.schema import Comparison, Mode, Region, Row
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError, ImageError, UsageError
from tests.engine_helpers import run
from tests.pictures import noise, png, scene

TIMES = (
    "load_s",
    "import_s",
    "first_s",
    "waited_s",
    "warm_p50_s",
    "warm_p95_s",
    "output_mp_per_s",
    "peak_rss_mib",
    "was_warm",
    "contended",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    made = LocalEngine(tmp_path_factory.mktemp("comparisons"))
    yield made
    made.close()


@pytest.fixture
def restored(engine: LocalEngine) -> tuple[Path, Comparison]:
    """61x43 shrunk by 2 and restored: results of 60x42."""
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic", "lanczos"], repeats=0), png(scene(61, 43)))
    return engine.root / job.id, job


@pytest.fixture
def as_is(engine: LocalEngine) -> tuple[Path, Comparison]:
    job = run(engine, Plan(scale=2.5, upscaler_ids=["bicubic"], mode="as-is", repeats=0), png(scene(31, 22)))
    return engine.root / job.id, job


def stored(folder: Path, row: Row) -> np.ndarray:
    return np.asarray(Image.open(folder / str(row.output_path)))


def test_a_models_own_picture_added_by_hand_gets_the_models_scores(restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    models = job.rows[0]
    source = (folder / str(models.output_path)).read_bytes()
    added = given.add(folder, Upload(source, "out.png"), name="Copy")
    assert added.scores is not None
    assert models.scores is not None
    for protocol, scores in models.scores.items():
        assert added.scores[protocol].model_dump(exclude={"fingerprint"}) == scores.model_dump(exclude={"fingerprint"})
        assert added.scores[protocol].fingerprint != scores.fingerprint
    assert (added.lr_consistency, added.colour_shift) == (models.lr_consistency, models.colour_shift)
    assert added.lr_fingerprint != models.lr_fingerprint
    assert added.output_path == models.output_path
    assert added.given is not None
    assert added.given.sha256 == hashlib.sha256(source).hexdigest()
    assert (added.runtime, added.weights_sha256, added.lr_source) == ("given", None, "bicubic")
    assert [getattr(added, name) for name in TIMES] == [None] * len(TIMES)
    assert added.repeats == 0


def test_without_an_original_it_gets_the_two_scores_that_need_none(as_is: tuple[Path, Comparison]) -> None:
    folder, job = as_is
    models = job.rows[0]
    added = given.add(folder, Upload((folder / str(models.output_path)).read_bytes(), "out.png"), name="Copy")
    assert added.scores is None
    assert added.lr_consistency == models.lr_consistency is not None
    assert added.colour_shift == models.colour_shift is not None
    assert added.lr_source == "input"


def test_two_files_of_the_same_pixels_have_fingerprints_of_their_own(restored: tuple[Path, Comparison]) -> None:
    folder, _ = restored
    pixels = scene(60, 42)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    rows = [given.add(folder, Upload(source, "a.png"), name="A") for source in (png(pixels), buffer.getvalue())]
    assert rows[0].output_path == rows[1].output_path
    assert rows[0].fingerprint != rows[1].fingerprint
    np.testing.assert_array_equal(stored(folder, rows[0]), pixels)


def test_it_is_kept_with_the_comparison_and_leaves_with_it(engine: LocalEngine, restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    before = job.rows
    pixels = noise(60, 42)
    given.add(folder, Upload(png(pixels), "topaz out.png"), name="Topaz 5.1")
    again = engine.load(job.id)
    assert again.rows[:2] == before
    assert [row.upscaler for row in again.rows] == ["bicubic", "lanczos", "given-topaz-5-1"]
    assert again.finished_at == job.finished_at
    with zipfile.ZipFile(io.BytesIO(export.archive(folder, again))) as archive:
        document = json.loads(archive.read("comparison.json"))
        lines = list(csv.DictReader(io.StringIO(archive.read("comparison.csv").decode())))
        name = document["rows"][2]["output_path"]
        assert name == "given-topaz-5-1_x2_picture.png"
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(archive.read(name)))), pixels)
    assert document["rows"][2]["given"] == {"name": "topaz out", "sha256": hashlib.sha256(png(pixels)).hexdigest(), "notes": []}
    assert [line["given_sha256"] for line in lines] == ["", "", hashlib.sha256(png(pixels)).hexdigest()]
    assert float(lines[2]["rgb_psnr_db"]) == document["rows"][2]["scores"]["rgb"]["psnr_db"]


def test_it_stands_apart_in_the_table_with_dashes_for_its_times(engine: LocalEngine, restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    # Better than every model, but its aim is not known: the best among the faithful ones stays a model.
    given.add(folder, Upload((folder / str(job.original_path)).read_bytes(), "a.png"), name="The original")
    given.add(folder, Upload(png(noise(60, 42)), "b.png"), name="Noise")
    job = engine.load(job.id)
    html = table(job, "rgb")
    faithful, _, added = html.partition(">Added by you<")
    assert "The original" in added
    assert "The original" not in faithful
    assert ">best<" in faithful
    assert ">best<" not in added
    assert added.count(">–</td>") == 2 * 3
    assert 'data-head="PSNR dB"' in added
    assert ">identical<" in added
    shown = shown_pictures(job, str)[-2]
    assert (shown.id, shown.label, shown.caption, shown.state) == (
        "given-the-original",
        "The original",
        "added by you · identical",
        "ready",
    )


def test_a_name_can_be_anything_and_is_shown_as_text(engine: LocalEngine, restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    name = '<img src=x onerror="alert(1)">\u202e\nsecond\x00 line'
    row = given.add(folder, Upload(png(scene(60, 42)), "../../<b>.png"), name=name)
    assert row.name == '<img src=x onerror="alert(1)"> second line'
    html = table(engine.load(job.id), "rgb")
    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt; second line" in html
    assert row.upscaler == "given-img-src-x-onerror-alert-1-second-line"
    written = export.write(folder, engine.load(job.id), folder / "out")
    assert written[row.upscaler].parent == folder / "out" / "x2"


@pytest.mark.parametrize("name", ["", "  \n", "\u200b\x00", "x" * 61])
def test_a_name_that_is_none_is_refused_in_one_line(restored: tuple[Path, Comparison], name: str) -> None:
    folder, job = restored
    with pytest.raises(UsageError, match=r"^The name of a result has 1 to 60 characters; got \d+\. Choose another one\.$"):
        given.add(folder, Upload(png(scene(60, 42)), "a.png"), name=name)
    assert jobs.load(folder) == job


def test_ids_and_names_that_are_taken_get_a_number(restored: tuple[Path, Comparison]) -> None:
    folder, _ = restored
    upload = Upload(png(scene(60, 42)), "a.png")
    rows = [given.add(folder, upload, name=name) for name in ("Lanczos", "Ümlaut", "umlaut", "Ümlaut", "Результат", "結果")]
    assert [row.name for row in rows] == ["Lanczos (2)", "Ümlaut", "umlaut", "Ümlaut (2)", "Результат", "結果"]
    assert [row.upscaler for row in rows] == [
        "given-lanczos",
        "given-umlaut",
        "given-umlaut-2",
        "given-umlaut-3",
        "given-result",
        "given-result-2",
    ]


def test_an_upscaler_of_the_same_id_lends_it_nothing(restored: tuple[Path, Comparison], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = restored
    row = given.add(folder, Upload(png(scene(60, 42)), "a.png"), name="Mine")
    like = dataclasses.replace(upscalers.get("bicubic"), id=row.upscaler, aim="vivid")
    monkeypatch.setattr(upscalers, "find", lambda _: like)
    words = label_of(row)
    assert (words.name, words.aim, words.summary) == ("Mine", "added", "Added from the file a.")


@pytest.mark.parametrize("size", [(61, 43), (30, 21), (42, 60), (60, 41)])
def test_another_size_is_refused_with_both_sizes_and_changes_nothing(restored: tuple[Path, Comparison], size: tuple[int, int]) -> None:
    folder, _ = restored
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(ImageError) as error:
        given.add(folder, Upload(png(noise(*size)), "wrong.png"), name="Wrong")
    assert f"wrong is {size[0]}×{size[1]} and the results here are 60×42: export it at exactly that size." in str(error.value)
    assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_what_is_no_picture_is_refused(restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    with pytest.raises(ImageError, match="Not a supported image"):
        given.add(folder, Upload(b"hello", "a.png"), name="A")
    assert jobs.load(folder) == job


def test_a_result_may_be_larger_than_what_may_be_upscaled(as_is: tuple[Path, Comparison], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, job = as_is
    size = given.frame_of(job).size
    assert size == (round(31 * 2.5), round(22 * 2.5))
    for limit, value in (("INPUT_MP", "0.001"), ("INPUT_SIDE", "40"), ("INPUT_BYTES", "500")):
        monkeypatch.setenv(f"UPSCALE_BENCH_MAX_{limit}", value)
    row = given.add(folder, Upload(png(noise(*size)), "a.png"), name="Large")
    assert (row.width, row.height) == size
    for larger in ((size[0], size[1] + 1), (4000, 4000)):
        with pytest.raises(ImageError):
            given.add(folder, Upload(png(noise(*larger)), "a.png"), name="Larger")


def test_a_picture_with_transparency_is_scored_on_white(restored: tuple[Path, Comparison]) -> None:
    folder, _ = restored
    rgba = np.dstack([noise(60, 42), np.zeros((42, 60), np.uint8)])
    row = given.add(folder, Upload(png(rgba), "a.png"), name="Nothing to see")
    assert row.scores is not None
    # The original has no transparency; the added picture is white all over.
    expected = np.mean((scene(61, 43)[:42, :60].astype(float) - 255) ** 2)
    assert row.scores["rgb"].mse == pytest.approx(expected, abs=1e-9)
    np.testing.assert_array_equal(stored(folder, row), rgba)


def test_conversions_on_the_way_in_are_told(engine: LocalEngine, restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    given.add(folder, Upload(png(scene(60, 42)), "a.jpg"), name="A")
    assert "The file is a PNG although its name ends in .jpg." in table(engine.load(job.id), "rgb")


def test_a_removed_result_leaves_nothing_behind(restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    row = given.add(folder, Upload(png(noise(60, 42)), "a.png"), name="A")
    assert (folder / str(row.output_path)).exists()
    given.remove(folder, row.upscaler)
    assert jobs.load(folder).rows == job.rows
    assert not (folder / str(row.output_path)).exists()
    given.remove(folder, row.upscaler)
    assert jobs.load(folder).rows == job.rows


def test_removing_keeps_the_pictures_that_others_have_too(restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    shared = [str(job.original_path), str(job.rows[0].output_path)]
    rows = [given.add(folder, Upload((folder / name).read_bytes(), "a.png"), name="A") for name in shared]
    for row in rows:
        given.remove(folder, row.upscaler)
    assert all((folder / name).exists() for name in shared)


def test_a_models_row_can_not_be_removed(restored: tuple[Path, Comparison]) -> None:
    folder, job = restored
    with pytest.raises(UsageError, match="Bicubic was computed here"):
        given.remove(folder, "bicubic")
    assert jobs.load(folder) == job


def test_a_comparison_that_runs_takes_none(tmp_path: Path) -> None:
    folder = jobs.create(Plan(scale=2, upscaler_ids=["bicubic"]), png(scene(8, 8)), name="a.png", user="a", root=tmp_path)
    with pytest.raises(UsageError, match="still runs"):
        given.add(folder, Upload(png(scene(8, 8)), "a.png"), name="A")
    with pytest.raises(UsageError, match="still runs"):
        given.remove(folder, "given-a")


def test_a_comparison_that_is_gone_takes_none(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no longer here"):
        given.add(tmp_path / "AAAAAAAAAAAAAAAA", Upload(png(scene(8, 8)), "a.png"), name="A")


def test_results_that_are_added_at_once_are_all_kept_up_to_the_limit(restored: tuple[Path, Comparison]) -> None:
    folder, _ = restored

    def add(number: int) -> str:
        try:
            return given.add(folder, Upload(png(noise(60, 42, number)), "a.png"), name="A").upscaler
        except UsageError as error:
            return str(error)

    with ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(add, range(23)))
    assert sum(end == "A comparison takes 20 added results: remove one first." for end in ends) == 3
    job = jobs.load(folder)
    assert len({row.upscaler for row in job.rows}) == 22
    assert len({row.output_path for row in job.rows}) == 22


# -- where a region is compared ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "scale", "region", "expected"),
    [
        # size, whole size, corner
        ("restore", 2, Region(x=7, y=3, width=20, height=17), ((20, 16), (60, 42), (7, 3))),
        ("as-is", 2.5, Region(x=7, y=3, width=20, height=17), ((50, 42), (152, 108), (18, 8))),
        # The last column and row of 61x43 belong to no result of the whole picture at x2.
        ("restore", 2, Region(x=41, y=3, width=20, height=17), ((20, 16), None, (0, 0))),
        ("restore", 2, None, ((60, 42), None, (0, 0))),
    ],
)
def test_a_region_takes_a_result_of_its_own_size_and_one_of_the_whole_picture(
    mode: Mode, scale: float, region: Region | None, expected: tuple[object, ...]
) -> None:
    frame = given.frame(mode, scale, (61, 43), region)
    assert (frame.size, frame.whole, frame.corner) == expected


def test_no_whole_result_is_taken_that_could_not_have_been_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_OUTPUT_MP", "0.01")
    assert given.frame("as-is", 2, (61, 43), Region(x=0, y=0, width=8, height=8)) == given.Frame((16, 16))


@pytest.mark.parametrize(("mode", "corner"), [("restore", (7, 3)), ("as-is", (14, 6))])
def test_of_a_whole_result_the_region_is_compared(engine: LocalEngine, mode: Mode, corner: tuple[int, int]) -> None:
    region = Region(x=7, y=3, width=20, height=16)
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], mode=mode, region=region, repeats=0), png(scene(61, 43)))
    folder = engine.root / job.id
    frame = given.frame_of(job)
    assert frame.whole is not None
    whole = noise(*frame.whole)
    cut = np.ascontiguousarray(whole[corner[1] : corner[1] + frame.size[1], corner[0] : corner[0] + frame.size[0]])
    rows = [given.add(folder, Upload(png(pixels), "a.png"), name="A") for pixels in (whole, cut)]
    np.testing.assert_array_equal(stored(folder, rows[0]), cut)
    assert (rows[0].width, rows[0].height) == frame.size == (job.rows[0].width, job.rows[0].height)
    assert rows[0].given is not None
    assert rows[0].given.notes == ["The region of it is compared."]
    assert rows[0].lr_consistency == rows[1].lr_consistency is not None
    with pytest.raises(ImageError, match=r"the results here are \d+×\d+ or, of the whole picture, \d+×\d+: export"):
        given.add(folder, Upload(png(noise(61, 44)), "a.png"), name="A")
    given.remove(folder, rows[0].upscaler)
    assert (folder / str(job.whole_path)).exists()
