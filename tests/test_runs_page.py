"""The runs page without a browser: what is offered, what may be named, and what is not to be done by strangers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

import upscalers
from benchmark import estimates
from benchmark.presentation.runs import failures_table, progress_line, run_card
from benchmark.runs.overview import RunView
from benchmark.runs.plan import RunPlan
from benchmark.storage.overview import FailedCell
from benchmark.storage.records import Counts, Execution, StoredRun
from benchmark.storage.store import Store
from tests.run_helpers import PLUGINS, make_set, plan_of
from ui import state

PAGE = str(Path(__file__).resolve().parent.parent / "pages" / "runs.py")


@pytest.fixture(autouse=True)
def own_server() -> Iterator[None]:
    """A server that only this machine reaches, and that knows no runs from other tests."""
    before = config.get_option("server.address")
    config.set_option("server.address", "127.0.0.1")
    caches = (state.runs, state.readings, state.engine)
    for each in caches:
        each.cache_clear()
    yield
    state.runs().close()
    for each in caches:
        each.cache_clear()
    config.set_option("server.address", before)


def page(*actions: tuple[str, str]) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=30).run()
    for key, text in actions:
        app.text_input(key=key).set_value(text).run()
    assert not app.exception
    return app


def buttons(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def popovers(app: AppTest) -> list[str]:
    return [block.proto.popover.label for block in app.get("popover")]


def errors(app: AppTest) -> list[str]:
    """Without the marks that keep Markdown from reading them."""
    return [error.value.replace("\\", "") for error in app.error]


def captions(app: AppTest) -> str:
    """Without the marks that keep Markdown from reading them."""
    return "\n".join(caption.value.replace("\\", "") for caption in app.caption)


def test_the_plan_is_counted_before_it_starts(tmp_path: Path) -> None:
    app = page(("run set", str(make_set(tmp_path / "set", 3))))
    app.multiselect(key="run upscalers").set_value(["bicubic", "nearest"]).run()
    app.pills(key="run scales").set_value([2, 4]).run()
    assert "3 pictures, 12 results." in captions(app)
    app.selectbox(key="run small").set_value("given").run()
    assert errors(app) == ["No small pictures come with set at x2, set at x4: choose a way to shrink."]
    app.pills(key="run scales").set_value([]).run()
    assert "Pick at least one scale." in captions(app)


def test_a_set_that_was_run_before_is_offered_and_its_run_goes_on(store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 3)
    store.create(name := plan_of(folder, scales=(4,), ready_only=True).default_name(), plan_of(folder, scales=(4,), ready_only=True))
    app = page()
    app.pills(key="run sets").set_value([str(folder)]).run()
    app.multiselect(key="run upscalers").set_value(["bicubic"]).run()
    assert f"This is the run {name} below." in captions(app)
    assert [label for label in buttons(app) if label.startswith("Continue")] == ["Continue run", "Continue"]


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunPlan, Execution]]:
    """What the page asks the server for; nothing is computed."""
    asked: list[tuple[RunPlan, Execution]] = []
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)
    monkeypatch.setattr("benchmark.runs.manager.RunManager.start", lambda _, *order: asked.append(order))
    return asked


def chosen_page(folder: Path, *upscalers: str) -> AppTest:
    app = page(("run set", str(folder)))
    return app.multiselect(key="run upscalers").set_value(list(upscalers)).run()


def start_button(app: AppTest) -> Button:
    return next(button for button in app.button if "run" in button.label)


def test_untouched_controls_ask_for_the_run_that_the_command_line_has(tmp_path: Path, ordered: list[tuple[RunPlan, Execution]]) -> None:
    folder = make_set(tmp_path / "set", 1)
    start_button(chosen_page(folder, "bicubic", "fake-good")).click().run()
    plan = plan_of(folder, scales=(4,), upscaler_ids=("bicubic", "fake-good"), ready_only=True)
    assert [(each.request, how) for each, how in ordered] == [(plan.request, Execution())]


def test_everything_that_the_command_line_takes_can_be_set_and_is_told_before_the_start(
    tmp_path: Path, ordered: list[tuple[RunPlan, Execution]]
) -> None:
    folder = make_set(tmp_path / "set", 1)
    app = chosen_page(folder, "bicubic", "fake-good", "fake-drawing")
    app.pills(key="run runtimes").set_value(["auto", "opencv"])
    app.segmented_control(key="run precision").set_value("f32")
    app.number_input(key="run tile").set_value(64)
    app.slider(key="run option fake-good sleep").set_value(0.5)
    app.number_input(key="run seed").set_value(7)
    app.multiselect(key="run metrics").set_value(["gmsd", "vif"])
    app.number_input(key="run repeats").set_value(2)
    app.segmented_control(key="run engine").set_value("ray").run()
    app.number_input(key="run workers ray").set_value(48)
    app.checkbox(key="run keeps").set_value(True).run()
    told = (
        "on auto, opencv · f32 · tiles of 64 px · fake-good sleep 0.5 · seed 7 · also GMSD, VIF · 2 repeats · on a Ray cluster · 48 workers"
    )
    assert told in captions(app)
    start_button(app).click().run()
    assert not app.exception
    plan = plan_of(
        folder,
        scales=(4,),
        upscaler_ids=("bicubic", "fake-good", "fake-drawing"),
        ready_only=True,
        runtimes=("auto", "opencv"),
        precision="f32",
        tile_px=64,
        options={"fake-good": {"sleep": 0.5}},
        seed=7,
        metrics=("gmsd", "vif"),
        repeats=2,
    )
    assert [(each.request, how) for each, how in ordered] == [(plan.request, Execution(48, keep_images=True, engine="ray"))]


def test_the_estimate_follows_what_is_set(tmp_path: Path, ordered: list[tuple[RunPlan, Execution]]) -> None:
    # A second for each pixel of a small picture, of which there are two with 10x7.
    estimates.record(upscalers.get("fake-good"), 4, "opencv", "f32", 10**6, 10**6)
    app = chosen_page(make_set(tmp_path / "set", 2), "fake-good")
    assert start_button(app).label == "Start run, about 2 min"
    app.number_input(key="run repeats").set_value(3).run()
    assert start_button(app).label == "Start run, about 9 min"


def test_upscalers_that_can_not_run_as_it_is_set_are_named(tmp_path: Path, ordered: list[tuple[RunPlan, Execution]]) -> None:
    app = chosen_page(make_set(tmp_path / "set", 1), "bicubic", "fake-good")
    app.pills(key="run runtimes").set_value(["torch"])
    app.segmented_control(key="run precision").set_value("bf16").run()
    assert "1 picture, 1 result. Left out, as they can't run so: fake-good." in captions(app)
    app.multiselect(key="run upscalers").set_value(["fake-good"]).run()
    assert "None of these upscalers can run so: choose others, or another scale, runtime or precision." in captions(app)
    assert start_button(app).disabled


def test_a_score_or_a_cluster_that_can_not_be_had_says_why(
    tmp_path: Path, ordered: list[tuple[RunPlan, Execution]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", "")
    app = chosen_page(make_set(tmp_path / "set", 1), "bicubic")
    app.multiselect(key="run metrics").set_value(["lpips"]).run()
    assert "LPIPS (AlexNet) needs alexnet-owt-7be5be79.pth (244 MB)" in captions(app)
    assert start_button(app).disabled
    app.multiselect(key="run metrics").set_value([])
    app.segmented_control(key="run engine").set_value("ray").run()
    assert "A cluster on this machine that lasts as long as the run" in captions(app)
    assert not start_button(app).disabled
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    assert "The cluster that RAY_ADDRESS names." in captions(app.run())
    monkeypatch.setattr("benchmark.ray.cluster.importlib.util.find_spec", lambda _: None)
    assert captions(app.run()).count("Ray is not installed: pip install -r requirements-ray.txt") == 2
    assert start_button(app).disabled


@pytest.mark.parametrize("address", [None, "0.0.0.0", "10.0.0.7"])
def test_where_others_reach_the_server_folders_are_closed_and_nothing_is_deleted(store: Store, tmp_path: Path, address: str | None) -> None:
    folder = make_set(tmp_path / "set", 1)
    store.create("theirs", plan_of(folder))
    assert "Delete" in popovers(page())
    config.set_option("server.address", address)
    app = page(("run set", str(folder)))
    assert errors(app) == [f"Expected owner/name at Hugging Face; got {str(folder)!r}."]
    assert "Others can reach this server" in captions(app)
    assert not [pill.key for pill in app.pills if pill.key == "run sets"]
    assert popovers(app) == ["Options", "More"]
    assert "Continue" in buttons(app)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_named_folders_are_open_on_any_server_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    birds = make_set(tmp_path / "open" / "birds", 2)
    make_set(tmp_path / "secret", 2)
    monkeypatch.setenv("UPSCALE_BENCH_DATASETS", str(tmp_path / "open"))
    config.set_option("server.address", address)
    app = page(("run set", str(tmp_path / "secret")))
    assert errors(app)[0].startswith(f"Expected a folder below {tmp_path / 'open'}, or owner/name")
    app.text_input(key="run set").set_value("").run()
    assert app.pills(key="run sets").options == ["birds"]
    app.pills(key="run sets").set_value([str(birds)]).run()
    assert "birds: 2 pictures" in captions(app)


@pytest.mark.parametrize(
    ("view", "line"),
    [
        (("running", Counts(56, 27, 2, 100.0), None, 3.14, 240.0), "29 of 56, 2 of them failed, 3.1 per second, 4 min left"),
        (("interrupted", Counts(56, 29, 0, 100.0), None, None, 100.0), "29 of 56 saved, about 2 min to go"),
        (("waiting", Counts(56, 0, 0, 0.01), None, None, 0.01), "0 of 56"),
        (("done", Counts(56, 56, 0, 0.0), None, None, None), "56 of 56"),
    ],
)
def test_how_far_a_run_is_in_words(view: tuple, line: str) -> None:
    assert progress_line(RunView(_stored("set"), *view)) == line


def test_names_and_reasons_of_foreign_origin_are_not_read_as_html() -> None:
    bad = "<img src=x onerror=alert(1)>"
    card = run_card(RunView(_stored(bad), "paused", Counts(1, 0, 0, 0.0), bad))
    table = failures_table([FailedCell(bad, bad, "bicubic", 4, "failed", bad)])
    assert "<img" not in card + table
    assert (card.count("&lt;img"), table.count("&lt;img")) == (2, 3)


def _stored(dataset: str) -> StoredRun:
    request = {
        "datasets": [{"name": dataset}],
        "scales": [4],
        "upscalers": ["bicubic"],
        "lr": "area",
        "runtimes": ["auto"],
        "precision": None,
        "options": {},
        "seed": None,
        "repeats": 2,
    }
    return StoredRun(1, "set-1", "running", None, request, "", "2026-11-21T10:00:00+00:00")
