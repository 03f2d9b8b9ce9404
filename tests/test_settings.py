"""Settings follow the environment at once, though they are not read anew each time."""

from pathlib import Path

import platformdirs
import pytest

from core.errors import UsageError
from core.settings import settings


def test_a_change_of_the_environment_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_KEEP_DAYS", "7")
    assert settings().keep_days == 7
    assert settings() is settings()
    monkeypatch.setenv("UPSCALE_BENCH_KEEP_DAYS", "8")
    assert settings().keep_days == 8
    monkeypatch.setenv("UPSCALE_BENCH_KEEP_DAYS", "many")
    for _ in range(2):
        with pytest.raises(UsageError, match="UPSCALE_BENCH_KEEP_DAYS can't be used as 'many'"):
            settings()
    monkeypatch.delenv("UPSCALE_BENCH_KEEP_DAYS")
    assert settings().keep_days == 30


def test_the_users_data_directory_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPSCALE_BENCH_HOME")
    for name in ("a", "b"):
        monkeypatch.setenv("HOME", str(tmp_path / name))
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        assert settings().home == Path(platformdirs.user_data_dir("upscale-bench", appauthor=False))
        assert str(tmp_path / name) in str(settings().home)
