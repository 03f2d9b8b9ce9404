"""The leaderboard page: what is saved stands in it, in the order of the scores, and nothing else does."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from benchmark.ranking.leaderboard import leaderboard
from benchmark.storage.store import Store
from tests.run_helpers import compute, make_set, plan_of
from ui.leaderboard import _front, key_of

PAGE = str(Path(__file__).resolve().parent.parent / "pages" / "leaderboard.py")
IDS = ("nearest", "bilinear", "bicubic", "lanczos")


@pytest.fixture
def measured(store: Store, tmp_path: Path) -> Store:
    """Four interpolators on five pictures, in a set whose name is not harmless."""
    assert compute(store, plan_of(make_set(tmp_path / "<b>set", 5), upscaler_ids=IDS))["state"] == "done"
    return store


def page(**state: object) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=30)
    for key, value in state.items():
        app.session_state[key] = value
    app.run()
    assert not app.exception
    return app


def html(app: AppTest) -> list[str]:
    return [element.proto.body for element in app.get("html")]


def test_an_empty_store_says_how_to_begin_and_shows_the_claims() -> None:
    app = page()
    assert app.code[0].value == "upscale-bench run --dataset Set5 --scales 2,4 --upscalers all-ready"
    claims = html(app)[-1]
    assert claims.count("<tr>") == 1 + 77
    assert claims.count("suspicious</span>") == 21


def test_upscalers_stand_in_the_order_of_their_scores_and_only_the_best_is_marked(measured: Store) -> None:
    ranking = next(each for each in leaderboard(measured) if each.protocol == "y")
    by_score = sorted(ranking.entries, key=lambda entry: -(entry.psnr_db.value if entry.psnr_db else 0))
    table = next(text for text in html(page()) if "ub-wide" in text)
    places = [table.index(f'<th scope="row">{entry.name}') for entry in by_score]
    assert places == sorted(places)
    assert table.index("ub-best") < places[1]
    assert "<b>" not in table


def test_a_protocol_and_a_licence_can_be_chosen(measured: Store) -> None:
    app = page()
    app.segmented_control[1].set_value("rgb").run()
    assert any("rgb" in caption.value for caption in app.caption)
    app.multiselect[0].set_value(["MIT-CMU"]).run()
    assert "Lanczos" in next(text for text in html(app) if "ub-wide" in text)


def test_the_pictures_of_an_upscaler_begin_with_where_it_falls_back(measured: Store) -> None:
    entries = {entry.upscaler: entry for each in leaderboard(measured) if each.protocol == "y" for entry in each.entries}
    app = page()
    app.selectbox(key="leaderboard entry").set_value(key_of(entries["nearest"])).run()
    table = next(text for text in html(app) if "Difference, dB" in text)
    worst = sorted(entries["nearest"].psnr_of, key=lambda name: entries["nearest"].psnr_of[name] - entries["bicubic"].psnr_of[name])
    places = [table.index(f'<th scope="row">{name}') for name in worst]
    assert places == sorted(places)


def test_a_click_on_a_point_chooses_its_upscaler(measured: Store) -> None:
    entries = {entry.upscaler: entry for each in leaderboard(measured) if each.protocol == "y" for entry in each.entries}
    app = page()
    app.session_state["pareto"] = {"selection": {"pick": [{"key": key_of(entries["lanczos"])}]}}
    app.run()
    assert app.selectbox(key="leaderboard entry").value == key_of(entries["lanczos"])


def test_a_damaged_store_is_one_line(measured: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.storage.database import path

    measured.close()
    for file in path().parent.glob(f"{path().name}-*"):
        file.unlink()
    path().write_bytes(b"no database " * 1000)
    app = page()
    assert len(app.error) == 1
    assert "\n" not in app.error[0].value


def test_the_front_has_what_nothing_else_beats_in_both() -> None:
    points = [
        {"seconds": 1.0, "psnr": 30.0},
        {"seconds": 2.0, "psnr": 29.0},
        {"seconds": 3.0, "psnr": 31.0},
        {"seconds": 0.5, "psnr": 25.0},
        {"seconds": 3.0, "psnr": 30.5},
    ]
    assert [point["psnr"] for point in _front(points)] == [25.0, 30.0, 31.0]
