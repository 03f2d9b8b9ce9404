"""Model files added in the background: one at a time, with an outcome that a page can show."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.additions import Addition, Additions
from core.errors import CheckCancelledError, ModelFileError
from tests.engine_helpers import wait_until


@pytest.fixture
def additions() -> Iterator[Additions]:
    made = Additions()
    yield made
    made.close()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands in for the check: it holds each file until it is told to go on, and remembers what it was given."""
    state = SimpleNamespace(calls=[], go=threading.Event(), fails=None)

    def add(path: Path, *, cancelled: Any, **more: Any) -> SimpleNamespace:
        state.calls.append((path, path.read_bytes(), more))
        while not state.go.wait(0.01):
            if cancelled():
                raise CheckCancelledError("The check was cancelled.")
        if state.fails:
            raise state.fails
        return SimpleNamespace(id="custom-mine")

    monkeypatch.setattr("benchmark.additions.custom.add", add)
    return state


def wait_for(*each: Addition) -> None:
    wait_until(lambda: not any(addition.active for addition in each))


def test_a_file_becomes_an_upscaler_and_its_copy_is_deleted(additions: Additions, checks: SimpleNamespace) -> None:
    checks.go.set()
    addition = additions.start(b"tensors", "mine.pth", name="Mine", aim="vivid")
    wait_for(addition)
    assert (addition.state, addition.upscaler_id, addition.error) == ("done", "custom-mine", None)
    ((path, content, more),) = checks.calls
    assert (content, more) == (b"tensors", {"name": "Mine", "file_name": "mine.pth", "aim": "vivid"})
    assert not path.exists()


def test_files_are_checked_one_at_a_time_and_those_that_wait_can_be_cancelled(additions: Additions, checks: SimpleNamespace) -> None:
    first, second, third = (additions.start(b"x", f"{index}.pth", name=None, aim="faithful") for index in range(3))
    wait_until(lambda: len(checks.calls) == 1)
    waiting = [each for each in (first, second, third) if each.state == "waiting"]
    assert len(waiting) == 2
    waiting[0].cancel()
    wait_for(waiting[0])
    assert waiting[0].state == "cancelled"
    checks.go.set()
    wait_for(first, second, third)
    assert len(checks.calls) == 2
    assert waiting[1].state == "done"


def test_a_check_is_cancelled_by_a_person_and_by_the_end_of_the_server(additions: Additions, checks: SimpleNamespace) -> None:
    addition = additions.start(b"x", "a.pth", name=None, aim="faithful")
    wait_until(lambda: checks.calls)
    additions.close()
    wait_for(addition)
    assert addition.state == "cancelled"


def test_a_refusal_is_told_and_an_internal_error_goes_into_the_log(
    additions: Additions, checks: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    checks.go.set()
    checks.fails = ModelFileError("Model is damaged (structure).")
    refused = additions.start(b"x", "a.pth", name=None, aim="faithful")
    wait_for(refused)
    assert (refused.state, refused.error) == ("failed", "Model is damaged (structure).")
    checks.fails = KeyError("secret")
    broken = additions.start(b"x", "b.pth", name=None, aim="faithful")
    wait_for(broken)
    assert broken.error == "Internal error (KeyError); the log has the details."
    assert "secret" in caplog.text
