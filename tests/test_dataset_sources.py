"""What a person may name as a data set, and how it is read behind a page."""

from pathlib import Path

import pytest

from benchmark.datasets.reading import Reading, Readings
from benchmark.datasets.sources import Source, find_source, find_source_below, folders_on_offer
from benchmark.runs.pace import Pace
from core.errors import UsageError
from tests.engine_helpers import wait_until
from tests.run_helpers import make_set


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """Two roots, of which the second holds a link to a folder outside."""
    make_set(tmp_path / "secret", 1)
    make_set(tmp_path / "one" / "birds", 1)
    make_set(tmp_path / "two" / "owner" / "cats", 1)
    (tmp_path / "two" / "way-out").symlink_to(tmp_path / "secret")
    (tmp_path / "one" / ".hidden").mkdir()
    return [tmp_path / "one", tmp_path / "two"]


@pytest.mark.parametrize("named", ["birds", "{}/one/birds", "./birds", "../one/birds"])
def test_folders_below_the_roots_may_be_read(roots: list[Path], named: str) -> None:
    assert find_source_below(named.format(roots[0].parent), roots) == Source(folder=roots[0] / "birds")


@pytest.mark.parametrize("named", ["/", "/etc", "../secret", "{}/secret", "way-out", "~", ".hidden/../../secret", "a\0b", "x" * 5000])
def test_nothing_else_of_the_machine_may_be_and_the_answer_tells_nothing_of_it(roots: list[Path], named: str) -> None:
    named = named.format(roots[0].parent)
    with pytest.raises(UsageError, match=r"Expected a folder below .*/one or .*/two, or owner/name at Hugging Face; got") as refused:
        find_source_below(named, roots)
    with pytest.raises(UsageError) as of_nothing:
        find_source_below("/no such folder", roots)
    assert str(refused.value).partition("; got")[0] == str(of_nothing.value).partition("; got")[0]


def test_a_name_of_the_hub_is_no_folder_of_where_the_server_stands(roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(roots[1])
    assert find_source("owner/cats") == Source(folder=Path("owner/cats"))
    assert find_source_below("owner/cats", []) == Source(hub_id="owner/cats")
    assert find_source_below("owner/cats", roots) == Source(folder=roots[1] / "owner" / "cats")
    assert find_source_below("Set5", []) == Source(hub_id="eugenesiow/Set5")
    with pytest.raises(UsageError, match="Expected owner/name at Hugging Face; got 'birds'"):
        find_source_below("birds", [])


@pytest.mark.parametrize("named", ["a\0b", "x" * 5000, "~nobody-of-this-name/set"])
def test_what_can_be_no_path_is_one_line(named: str) -> None:
    with pytest.raises(UsageError, match=r"got|There is no folder") as refused:
        find_source(named).open()
    assert "\n" not in str(refused.value)


def test_the_folders_on_offer_are_those_that_are_not_hidden(roots: list[Path], tmp_path: Path) -> None:
    assert [folder.name for folder in folders_on_offer([*roots, tmp_path / "missing"])] == ["birds", "owner", "way-out"]


def test_a_set_is_read_once_for_all_and_a_bad_one_has_a_reason(roots: list[Path], tmp_path: Path) -> None:
    def ended(reading: Reading) -> Reading:
        wait_until(lambda: not reading.active)
        return reading

    readings, birds = Readings(), Source(folder=roots[0] / "birds")
    assert readings.find(birds) is None
    done = ended(readings.start(birds))
    assert done.dataset is not None
    assert done.dataset.names == ["0.png"]
    assert readings.find(Source(folder=roots[0] / "birds")) is done
    missing = ended(readings.start(Source(folder=tmp_path / "missing")))
    assert (missing.state, missing.dataset) == ("failed", None)
    assert "There is no folder" in (missing.error or "")
    offline = Source(hub_id="owner/cats")
    assert not offline.is_here
    assert "UPSCALE_BENCH_OFFLINE is set" in (ended(readings.start(offline)).error or "")


def test_the_time_left_follows_what_was_expected_and_what_it_took() -> None:
    now = 100.0
    pace = Pace(finished=10, expected_s=60.0, clock=lambda: now)
    assert pace.per_s(10) is None
    assert pace.left_s(10, 90, 60.0) == 60.0
    now = 120.0
    # 20 seconds for what should have taken 10: the other 50 will take 100.
    assert pace.left_s(14, 86, 50.0) == 100.0
    assert pace.per_s(14) == 0.2
    # Of nothing is anything expected: 86 cells at 0.2 per second.
    unknown = Pace(finished=10, expected_s=0.0, clock=lambda: now)
    assert unknown.left_s(10, 90, 0.0) is None
    now = 140.0
    assert unknown.left_s(14, 86, 0.0) == pytest.approx(430.0)
