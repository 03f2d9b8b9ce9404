"""Fixtures shared by all tests: state in a temporary directory, and the data that lies outside the repository."""

import os
from pathlib import Path

import pytest


def outside_data(variable: str, what: str) -> str:
    """The value of `variable`; without it a test is skipped, and under CI it fails."""
    value = os.environ.get(variable, "")
    if not value:
        reason = f"Set {variable} to {what}."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return value


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the state of the person who runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(home))
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    return home


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder that holds Set5, Set14 and photos."""
    return Path(outside_data("UPSCALE_BENCH_TEST_DATA", "the folder that holds Set5, Set14 and photos"))


@pytest.fixture(scope="session")
def bad_inputs(test_data: Path) -> Path:
    """The folder of awkward and damaged pictures, beside the test data."""
    return test_data.parent / "bad_inputs"


@pytest.fixture(scope="session")
def weights_at_hand() -> list[Path]:
    """The directories of published weights."""
    return [Path(part) for part in outside_data("UPSCALE_BENCH_WEIGHTS", "directories with the published weights").split(os.pathsep)]
