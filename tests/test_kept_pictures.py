"""The pictures behind a leaderboard: kept results and unchanged originals are found and served, and nothing else is."""

import hashlib
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmark import jobs, recompute
from benchmark.ranking.leaderboard import Entry, Ranking, leaderboard
from benchmark.runs.cells import CellResult
from benchmark.schema import ProtocolScores
from benchmark.storage import comparison_index, kept_pictures
from benchmark.storage.kept_pictures import ScoredPicture
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from tests.engine_helpers import wait_until
from tests.pictures import noise, png
from tests.run_helpers import compute, make_set, plan_of, run_command
from ui.image_route import original_url, result_url, routes

PSNR_DB = {"bicubic": (30.0, 31.0, 32.0), "lanczos": (31.0, 29.0, 32.5)}
KEPT = png(noise(40, 30, seed=99))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_set(tmp_path / "my set", 3, width=41, height=31)


def save(store: Store, folder: Path, *, name: str = "test", keep: bool = True) -> None:
    """A run with made-up scores; of each upscaler all results look like `KEPT`."""
    run = store.create(name, plan_of(folder, upscaler_ids=tuple(PSNR_DB)))
    results = []
    for cell in store.waiting(run):
        sha256 = hashlib.sha256(KEPT).hexdigest()
        row = cell.row.model_copy(update={"status": "ok", "stage": "done", "width": 40, "height": 30})
        psnr_db = PSNR_DB[row.upscaler][int(cell.picture[0])]
        row.scores = {"y": ProtocolScores(mse=1.0, psnr_db=psnr_db, ssim=0.9, fingerprint="a" * 16)}
        results.append(CellResult(cell.id, row, pixels_sha256="b" * 64, output_sha256=sha256 if keep else None))
        if keep:
            run.folder.mkdir(parents=True, exist_ok=True)
            (run.folder / f"{sha256}.png").write_bytes(KEPT)
    store.save(results, {"processor": "Abacus 5"})


def entry_of(store: Store, upscaler: str, run: str | None = None) -> tuple[Ranking, Entry]:
    ranking = next(each for each in leaderboard(store, run) if each.protocol == "y")
    return ranking, next(entry for entry in ranking.entries if entry.upscaler == upscaler)


def scored(store: Store, upscaler: str, picture: str = "0.png", run: str | None = None) -> ScoredPicture:
    found = kept_pictures.scored(store, *entry_of(store, upscaler, run), picture)
    assert found is not None
    return found


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes())) as opened:
        yield opened


def test_pictures_begin_with_where_the_entry_falls_back_the_furthest(store: Store, folder: Path) -> None:
    save(store, folder)
    _, lanczos = entry_of(store, "lanczos")
    _, bicubic = entry_of(store, "bicubic")
    # Differences: +1, -2, +0.5.
    assert kept_pictures.worst_first(lanczos, bicubic) == ["1.png", "2.png", "0.png"]
    assert kept_pictures.worst_first(bicubic, bicubic) == ["0.png", "1.png", "2.png"]
    del bicubic.psnr_of["1.png"]
    assert kept_pictures.worst_first(lanczos, bicubic) == ["2.png", "0.png", "1.png"]
    assert kept_pictures.worst_first(lanczos, None) == ["1.png", "0.png", "2.png"]


def test_a_kept_result_is_served_as_it_lies_on_the_disk(store: Store, folder: Path, client: TestClient) -> None:
    save(store, folder)
    picture = scored(store, "lanczos")
    path = kept_pictures.find_kept(store, picture.cell_id)
    assert path is not None
    answer = client.get(result_url(picture.cell_id, path.name))
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", KEPT)
    path.unlink()
    assert kept_pictures.find_kept(store, picture.cell_id) is None
    assert client.get(result_url(picture.cell_id, path.name)).status_code == 404


def test_what_another_run_kept_of_the_same_pixels_is_found(store: Store, folder: Path) -> None:
    save(store, folder, name="first")
    save(store, folder, name="bare", keep=False)
    found = kept_pictures.find_kept(store, scored(store, "bicubic", run="bare").cell_id)
    assert found is not None
    assert found.parent.name == "first"


def test_the_original_is_cropped_as_it_was_scored_and_loses_nothing(store: Store, folder: Path, client: TestClient) -> None:
    save(store, folder)
    picture = scored(store, "bicubic", "2.png")
    answer = client.get(original_url(picture))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert np.array_equal(np.asarray(image), noise(41, 31, seed=2)[:30, :40])


def test_an_original_that_is_gone_or_changed_is_not_shown_and_the_reason_is_one_sentence(
    store: Store, folder: Path, client: TestClient
) -> None:
    save(store, folder)
    picture = scored(store, "bicubic")
    assert kept_pictures.original_problem(picture) is None
    (folder / "0.png").write_bytes(png(noise(41, 31, seed=7)))
    assert kept_pictures.original_problem(picture) == (
        "The original 0.png has changed since it was scored: put the data set back as it was to see it."
    )
    assert client.get(original_url(picture)).status_code == 404
    (folder / "0.png").unlink()
    assert kept_pictures.original_problem(picture) == "The original 0.png is no longer in its folder: put the data set back to see it."
    assert client.get(original_url(picture)).status_code == 404


def test_nothing_but_the_stores_own_pictures_can_be_fetched(store: Store, folder: Path, client: TestClient, own_home: Path) -> None:
    save(store, folder)
    picture = scored(store, "bicubic")
    secret = png(noise(9, 9, seed=5))
    (own_home / "secret.png").write_bytes(secret)
    (folder / "secret.png").write_bytes(secret)
    other = hashlib.sha256(secret).hexdigest()
    (own_home / "runs" / "test" / f"{other}.png").write_bytes(secret)
    good = kept_pictures.find_kept(store, picture.cell_id)
    assert good is not None
    names = [
        *("../../secret.png", "..%2f..%2fsecret.png", "%2e%2e/%2e%2e/secret.png", "..%5c..%5csecret.png", f"{own_home}/secret.png"),
        *(f"{other}.png", "secret.png", "store.sqlite", "..%2f..%2fstore.sqlite", f"..%2ftest%2f{good.name}", f"{good.name}%00", "%00", ""),
        *(f"{picture.original_sha256}-x4.png", f"{picture.original_sha256}-x2.png/../secret.png", f"{picture.original_sha256}.png"),
    ]
    rows = (picture.cell_id, picture.picture_id, 0, -1, 999, 2**63, 10**40, "test", "..", "%2e%2e")
    asked = {(row, name) for row in rows[:2] for name in names} | {(row, name) for row in rows[2:] for name in (good.name, names[1])}
    for place in ("results", "originals", "pictures"):
        for row, name in asked:
            answer = client.get(f"/{place}/{row}/{name}")
            assert answer.status_code == 404, (place, row, name)
            assert secret not in answer.content
    # A row that names something else than a hash, as a damaged store may, gives no file either.
    from sqlalchemy import update

    from benchmark.storage.database import writing
    from benchmark.storage.tables import cells

    with writing(store.engine) as connection:
        connection.execute(update(cells).values(output_sha256="../../secret"))
    assert kept_pictures.find_kept(store, picture.cell_id) is None
    assert client.get(f"/results/{picture.cell_id}/secret.png").status_code == 404


def test_a_comparison_of_the_same_picture_computes_it_and_is_found_by_its_fingerprint(store: Store, folder: Path) -> None:
    assert compute(store, plan_of(folder, upscaler_ids=("bicubic", "lanczos")))["state"] == "done"
    picture = scored(store, "lanczos", "1.png")
    assert kept_pictures.find_kept(store, picture.cell_id, look=True) is None
    expected_s = recompute.expected_s(picture)
    assert expected_s is not None
    assert expected_s < recompute.QUICK_S
    plan, small = recompute.comparison(picture)
    engine = LocalEngine()
    try:
        job_id = engine.submit(plan, kept_pictures.original_bytes(picture), name="1.png", user="tester", small=small)
        wait_until(lambda: not engine.load(job_id).active)
    finally:
        engine.close()
    assert kept_pictures.find_kept(store, picture.cell_id) is None
    found = kept_pictures.find_kept(store, picture.cell_id, look=True)
    assert found is not None
    original = Image.fromarray(noise(41, 31, seed=1)[:30, :40])
    wanted = original.resize((20, 15), Image.Resampling.BICUBIC).resize((40, 30), Image.Resampling.LANCZOS)
    with Image.open(found) as image:
        assert np.array_equal(np.asarray(image), np.asarray(wanted))
    assert kept_pictures.find_kept(store, scored(store, "lanczos", "2.png").cell_id) is None
    jobs.delete(job_id)
    assert kept_pictures.find_kept(store, picture.cell_id) is None
    comparison_index.refresh(store)


def test_the_command_that_keeps_the_pictures_keeps_them(store: Store, folder: Path) -> None:
    save(store, folder, keep=False)
    picture = scored(store, "lanczos")
    assert kept_pictures.find_kept(store, picture.cell_id) is None
    words = shlex.split(recompute.command(*entry_of(store, "lanczos", "test"), picture))
    assert words[0] == "upscale-bench"
    done = run_command(*words[1:])
    assert done.returncode == 0, done.stderr
    ranking, entry = entry_of(store, "lanczos", words[-1])
    assert ranking.fingerprint == entry_of(store, "lanczos", "test")[0].fingerprint
    for name in entry.psnr_of:
        made = kept_pictures.scored(store, ranking, entry, name)
        assert made is not None
        assert kept_pictures.find_kept(store, made.cell_id) is not None
