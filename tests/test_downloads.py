"""Downloads in the background: progress, failure and stop are states that a page can show."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from benchmark import model_files
from benchmark.downloads import AT_ONCE, Downloads
from core import weights
from core.errors import BusyError
from core.weight_sources import Source, SourceError, Transfer
from core.weights import WeightFile
from tests.engine_helpers import wait_until


@dataclass(frozen=True)
class Made(Source):
    """A source that gives bytes slowly, or fails."""

    needs_network: ClassVar[bool] = False

    name: str
    blocks: int = 1
    pause_s: float = 0.0
    fails: bool = False

    @property
    def origin(self) -> str:
        return f"made:{self.name}"

    def download(self, transfer: Transfer) -> None:
        if self.fails:
            raise SourceError("the server answered 404 Not Found")
        transfer.begin(total=self.blocks)
        for _ in range(self.blocks):
            time.sleep(self.pause_s)
            transfer.write(b"x")


def file(name: str, **source) -> WeightFile:
    return WeightFile(name=name, source=Made(name, **source), sha256=None, size_bytes=None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(tmp_path))
    monkeypatch.delenv("UPSCALE_BENCH_WEIGHTS", raising=False)
    return tmp_path


def test_all_files_of_a_model_are_fetched_and_counted() -> None:
    downloads = Downloads()
    files = [file("a.pth"), file("folder/b.pth")]
    download = downloads.start("some-model", files)
    wait_until(lambda: not download.active, 10)
    assert (download.state, download.fraction, download.error) == ("done", 1.0, None)
    assert all(weights.status(each).located for each in files)
    assert downloads.active() == []


def test_a_failure_is_a_line_and_a_new_start_tries_again() -> None:
    downloads = Downloads()
    download = downloads.start("some-model", [file("a.pth", fails=True)])
    wait_until(lambda: not download.active, 10)
    assert download.state == "failed"
    assert download.error is not None
    assert "404 Not Found" in download.error
    assert "\n" not in download.error
    again = downloads.start("some-model", [file("a.pth")])
    wait_until(lambda: not again.active, 10)
    assert again.state == "done"


def test_a_download_is_stopped_within_a_second_and_leaves_no_whole_file() -> None:
    downloads = Downloads()
    slow = file("slow.pth", blocks=1000, pause_s=0.02)
    download = downloads.start("some-model", [slow])
    wait_until(lambda: download.done_bytes > 2, 10)
    assert 0 < download.fraction < 1
    assert downloads.start("some-model", [slow]) is download
    download.cancel()
    assert wait_until(lambda: not download.active, 10) < 1.5
    assert download.state == "cancelled"
    assert weights.status(slow).located is None


def test_no_more_than_two_models_are_fetched_at_once() -> None:
    downloads = Downloads()
    started = [downloads.start(f"model-{index}", [file(f"{index}.pth", blocks=40, pause_s=0.02)]) for index in range(4)]
    wait_until(lambda: sum(download.state == "running" for download in started) == AT_ONCE, 10)
    assert sum(download.state == "waiting" for download in started) == 2
    started[-1].cancel()
    wait_until(lambda: not any(download.active for download in started), 20)
    assert [download.state for download in started] == ["done", "done", "done", "cancelled"]


def test_what_was_downloaded_can_be_removed_and_what_the_user_has_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    import upscalers

    spec = replace(upscalers.get("esrgan"), weights={4: (file("mine.pth"),)})
    assert not model_files.removable(spec)
    weights.fetch(model_files.all_files(spec)[0])
    assert model_files.removable(spec)
    assert model_files.missing_files(spec) == []
    model_files.remove(spec)
    assert [each.name for each in model_files.missing_files(spec)] == ["mine.pth"]
    (home / "own").mkdir()
    (home / "own" / "mine.pth").write_bytes(b"x")
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(home / "own"))
    assert not model_files.removable(spec)
    model_files.remove(spec)
    assert (home / "own" / "mine.pth").exists()


def test_what_follows_a_download_is_done_once_and_only_when_all_files_are_there() -> None:
    downloads, followed = Downloads(), []
    files = [file("a.pth", blocks=3, pause_s=0.1), file("b.pth")]

    def follow(name: str) -> None:
        followed.append((name, all(weights.status(each).located for each in files)))

    download = downloads.start("some-model", files, then=lambda: follow("first"))
    # Somebody else who needs the same.
    assert downloads.start("some-model", files, then=lambda: follow("second")) is download
    assert downloads.start("some-model", files) is download
    wait_until(lambda: not download.active, 10)
    assert followed == [("first", True), ("second", True)]
    failing = downloads.start("other-model", [file("c.pth", fails=True)], then=lambda: follow("third"))
    wait_until(lambda: not failing.active, 10)
    assert len(followed) == 2


def test_a_follower_that_can_not_do_its_work_is_the_downloads_error() -> None:
    def refuse() -> None:
        raise BusyError("Too many wait.")

    download = Downloads().start("some-model", [file("a.pth")], then=refuse)
    wait_until(lambda: not download.active, 10)
    assert (download.state, download.error) == ("failed", "Too many wait.")
