"""After a comparison the page says which models will be faster next time, as far as that is true."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

import upscalers
from benchmark.schema import Row
from benchmark.workers.local_engine import Converting
from tests import networks
from tests.comparisons import row_of
from upscalers.preparing import prepare

COMPACT, INTERPOLATOR = "realesr-animevideov3", "lanczos"


def page() -> None:
    import streamlit as st

    from ui.faster import faster_next_time

    faster_next_time(st.session_state["job"])


@pytest.fixture
def ran_on_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Row:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    networks.write_compact(tmp_path / "realesr-animevideov3.pth", scale=4, convolutions=2, features=8, seed=0)
    return row_of(COMPACT, runtime="torch", scale=4, status="ok")


def lines(monkeypatch: pytest.MonkeyPatch, converting: Converting, *rows: Row, user: str = "somebody") -> list[str]:
    monkeypatch.setattr("ui.faster.engine", lambda: SimpleNamespace(conversions=converting))
    app = AppTest.from_function(page)
    app.session_state["job"] = SimpleNamespace(user=user, rows=list(rows))
    app.run()
    assert not app.exception
    # Names are escaped for Markdown.
    return [caption.value.replace("\\", "") for caption in app.caption]


def test_what_is_converted_now_and_next_is_named(monkeypatch: pytest.MonkeyPatch, ran_on_pytorch: Row) -> None:
    name = upscalers.get(COMPACT).name
    (now,) = lines(monkeypatch, Converting(COMPACT), ran_on_pytorch)
    assert now.startswith(f"{name} is being prepared for OpenVINO")
    (later,) = lines(monkeypatch, Converting("dat-light", (COMPACT,)), ran_on_pytorch)
    assert "nothing else to do" in later
    assert name in later


def test_nothing_is_promised_that_nobody_works_on(monkeypatch: pytest.MonkeyPatch, ran_on_pytorch: Row) -> None:
    assert lines(monkeypatch, Converting(), ran_on_pytorch) == []
    assert lines(monkeypatch, Converting("dat-light"), ran_on_pytorch) == []
    assert lines(monkeypatch, Converting(INTERPOLATOR), row_of(INTERPOLATOR, status="ok")) == []


def test_once_it_is_there_another_comparison_is_proposed(monkeypatch: pytest.MonkeyPatch, ran_on_pytorch: Row) -> None:
    assert prepare(upscalers.get(COMPACT), 4)
    (line,) = lines(monkeypatch, Converting(), ran_on_pytorch)
    assert line.startswith("Ready on OpenVINO by now")
    assert upscalers.get(COMPACT).name in line
    assert lines(monkeypatch, Converting(), ran_on_pytorch.model_copy(update={"runtime": "openvino"})) == []
