"""SHA-256 of files, and a record of those already computed, so that showing a list of weights does not read them all."""

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.files import write_atomically
from core.settings import MIB, settings

SHA256 = re.compile(r"[0-9a-f]{64}")
LOCK_TIMEOUT_S = 5.0


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes, as 64 lower-case hexadecimal digits; reads blocks of 1 MiB. Raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(MIB):
            digest.update(block)
    return digest.hexdigest()


def fresh_sha256_of(path: Path) -> str:
    """As `sha256_of`, and the result is remembered."""
    before = _facts(path)
    sha256 = sha256_of(path)
    if _facts(path) == before:
        # Not being able to remember (a read-only home, a lock that nobody gives back) only costs time.
        with contextlib.suppress(OSError):
            _remember(path, {**before, "sha256": sha256})
    return sha256


def remembered_sha256_of(path: Path) -> str:
    """As `fresh_sha256_of`, but the file is read only if its size or time changed since its hash was last computed.

    Good for showing a state. Before a file is used, `fresh_sha256_of` reads it: damage on a disk changes no time.
    """
    entry = _read_record().get(str(path.absolute()))
    if entry is not None and {key: entry[key] for key in ("size", "mtime_ns")} == _facts(path):
        return entry["sha256"]
    return fresh_sha256_of(path)


def read_json(path: Path) -> object:
    """The content of a JSON file; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _facts(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _record_path() -> Path:
    return settings().home / "weight-hashes.json"


def _read_record() -> dict[str, dict[str, Any]]:
    """What is remembered: absolute path -> size, mtime_ns, sha256. A damaged record counts as empty, a damaged entry as absent."""
    record = read_json(_record_path())
    return {path: entry for path, entry in record.items() if _is_entry(entry)} if isinstance(record, dict) else {}


def _is_entry(entry: object) -> bool:
    match entry:
        case {"size": int(), "mtime_ns": int(), "sha256": str(sha256)}:
            return SHA256.fullmatch(sha256) is not None
        case _:
            return False


def _remember(path: Path, entry: dict[str, Any]) -> None:
    key = str(path.absolute())
    if _read_record().get(key) == entry:
        return
    record_path = _record_path()
    record_path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{record_path}.lock", timeout=LOCK_TIMEOUT_S):
        # Entries of files that are gone are dropped, so the record stays as small as the set of weights.
        record = {name: known for name, known in _read_record().items() if Path(name).exists()}
        write_atomically(record_path, json.dumps({**record, key: entry}, indent=1).encode())
