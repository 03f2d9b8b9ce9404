"""Where weight files are found, what is said of them, and the record of their hashes. Nothing here needs a network."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from core.errors import WeightsError
from core.weights import FileSource, HttpSource, LocatedWeights, WeightFile, cached_bytes, fetch, locate, remove, status
from tests.local_server import Answer, LocalServer
from tests.weight_files import BODY, NAME, left_in, published, refusal, sha256_hex, unpublished_hash

pytestmark = pytest.mark.usefixtures("online")


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two directories that the user named."""
    both = [tmp_path / "first", tmp_path / "second"]
    for directory in both:
        directory.mkdir()
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", os.pathsep.join(map(str, both)))
    return both


# Unknown hashes


def test_an_unknown_hash_is_recorded_and_checked_ever_after(server: LocalServer, cache: Path):
    file = unpublished_hash(server.serve("/f", Answer(body=BODY)))
    expected = LocatedWeights(cache / NAME, sha256_hex(BODY), verified=False, origin="cache")
    assert fetch(file) == locate(file) == expected
    (cache / NAME).write_bytes(BODY[:-1] + b"!")
    assert locate(file) is None
    assert status(file).state == "damaged"
    assert fetch(file) == expected
    (cache / NAME).unlink()
    server.serve("/f", Answer(body=b"another release"))
    line = refusal(file)
    assert sha256_hex(BODY)[:12] in line
    assert locate(file) is None


def test_a_cached_file_that_no_record_vouches_for_is_fetched_anew(server: LocalServer, cache: Path):
    file = unpublished_hash(server.serve("/f", Answer(body=BODY)))
    fetch(file)
    record = cache / f"{NAME}.first.json"
    for damage in ("", "{", "[]", '{"sha256": 7}', '{"source": "elsewhere", "sha256": "' + "0" * 64 + '"}'):
        record.write_text(damage)
        assert locate(file) is None
        assert fetch(file).sha256 == sha256_hex(BODY)
    record.unlink()
    assert locate(file) is None


def test_a_file_that_changed_at_its_source_is_accepted_only_on_purpose(server: LocalServer, cache: Path):
    file = unpublished_hash(server.serve("/f", Answer(body=BODY)))
    fetch(file)
    assert remove(file)
    server.serve("/f", Answer(body=b"another release"))
    line = refusal(file)
    assert "the file there has changed" in line
    assert "To accept the new file, run `upscale-bench weights fetch --accept-new` for its upscaler." in line
    accepted = LocatedWeights(cache / NAME, sha256_hex(b"another release"), verified=False, origin="cache")
    assert fetch(file, accept_new=True) == locate(file) == accepted
    remove(file)
    server.serve("/f", Answer(body=BODY))
    assert sha256_hex(b"another release")[:12] in refusal(file)
    (cache / f"{NAME}.first.json").unlink()
    assert fetch(file).sha256 == sha256_hex(BODY)


def test_a_published_hash_is_checked_whatever_is_accepted(server: LocalServer):
    file = published(server.serve("/f", Answer(body=BODY[::-1])))
    with pytest.raises(WeightsError, match="the catalogue has sha256"):
        fetch(file, accept_new=True)


# Removing


def test_a_removed_file_is_gone_and_its_space_counted(server: LocalServer, cache: Path):
    file = published(server.serve("/f", Answer(body=BODY)))
    assert (remove(file), cached_bytes(file)) == (False, 0)
    assert not cache.exists()
    fetch(file)
    assert cached_bytes(file) == len(BODY)
    assert remove(file) is True
    assert (locate(file), status(file).state, cached_bytes(file), left_in(cache)) == (None, "missing", 0, set())
    assert remove(file) is False


def test_a_part_is_removed_too(server: LocalServer, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.http_source.RETRY_WAITS_S", ())
    file = published(server.serve("/f", Answer(body=BODY, etag='"one"', send_only=131_072)))
    refusal(file)
    assert cached_bytes(file) == 131_072
    assert remove(file) is True
    assert (cached_bytes(file), left_in(cache)) == (0, set())
    server.serve("/f", Answer(body=BODY, etag='"one"'))
    assert fetch(file).verified
    assert "range" not in server.log[-1].headers


def test_a_damaged_file_can_be_removed(server: LocalServer, cache: Path):
    file = published(server.serve("/f", Answer(body=BODY)))
    fetch(file)
    (cache / NAME).write_bytes(b"damaged")
    assert (cached_bytes(file), remove(file), status(file).state) == (7, True, "missing")


def test_a_users_own_file_is_never_removed(server: LocalServer, cache: Path, directories: list[Path], monkeypatch: pytest.MonkeyPatch):
    file = published(server.serve("/f", Answer(body=BODY)))
    fetch(file)
    (directories[0] / NAME).write_bytes(BODY)
    assert remove(file) is True
    assert (directories[0] / NAME).read_bytes() == BODY
    assert (remove(file), cached_bytes(file)) == (False, 0)
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(cache))
    (cache / NAME).write_bytes(BODY)
    assert (remove(file), cached_bytes(file)) == (False, 0)
    assert (cache / NAME).read_bytes() == BODY


def test_a_file_that_is_being_fetched_is_not_removed(server: LocalServer):
    gate = threading.Event()
    file = published(server.serve("/f", Answer(body=BODY, gate=gate)))
    fetching = threading.Thread(target=fetch, args=(file,))
    fetching.start()
    while not server.requests:
        time.sleep(0.01)
    with pytest.raises(WeightsError, match=f"^{NAME} is being fetched"):
        remove(file)
    gate.set()
    fetching.join()
    assert remove(file) is True


# Names that are paths


def test_files_of_one_model_lie_in_its_folders(server: LocalServer, cache: Path, directories: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.http_source.RETRY_WAITS_S", ())
    bodies = {name: name.encode() * 20_000 for name in ("net/unet/config.json", "net/vae/config.json", "net/config.json")}
    files = {}
    for number, (name, body) in enumerate(bodies.items()):
        cut, whole = Answer(body=body, etag='"one"', send_only=131_072), Answer(body=body, etag='"one"')
        source = HttpSource(server.serve(f"/{number}", cut, whole))
        files[name] = WeightFile(name=name, source=source, sha256=None, size_bytes=None)
        with pytest.raises(WeightsError, match=rf"^{name} can't be fetched .* 131,072 bytes are kept.* Put {name} into a directory"):
            fetch(files[name])
    for name, file in files.items():
        assert fetch(file) == LocatedWeights(cache / name, sha256_hex(bodies[name]), verified=False, origin="cache")
        assert (cache / name).read_bytes() == bodies[name]
        assert server.log[-1].headers["range"] == "bytes=131072-"
    (cache / "net/vae/config.json").write_bytes(b"damaged")
    assert [status(file).state for file in files.values()] == ["unverified", "damaged", "unverified"]
    assert remove(files["net/config.json"])
    assert [status(file).state for file in files.values()] == ["unverified", "damaged", "missing"]
    own = directories[1] / "net" / "config.json"
    own.parent.mkdir()
    own.write_bytes(b"the user's own")
    assert fetch(files["net/config.json"]).path == own


def test_a_folder_that_cannot_be_made_is_told(server: LocalServer):
    url = server.serve("/f", Answer(body=BODY))
    fetch(published(url))
    below = WeightFile(name=f"{NAME}/config.json", source=HttpSource(url), sha256=None, size_bytes=None)
    with pytest.raises(WeightsError, match=rf"^{NAME}/config\.json can't be stored in "):
        fetch(below)


# Files on this machine


def test_a_local_file_is_copied_even_offline(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    original = tmp_path / "original.pb"
    original.write_bytes(BODY)
    file = WeightFile(name=NAME, source=FileSource(original), sha256=sha256_hex(BODY), size_bytes=len(BODY))
    seen: list[tuple[int, int | None]] = []
    expected = LocatedWeights(cache / NAME, sha256_hex(BODY), verified=True, origin="cache")
    assert fetch(file, progress=lambda done, total: seen.append((done, total))) == expected
    assert seen[-1] == (len(BODY), len(BODY))
    assert left_in(cache) == {NAME}
    original.unlink()
    assert fetch(file) == expected


def test_a_local_file_that_is_missing_unreadable_or_another_is_told(tmp_path: Path, cache: Path):
    original = tmp_path / "original.pb"
    file = WeightFile(name=NAME, source=FileSource(original), sha256=sha256_hex(BODY), size_bytes=len(BODY))
    expected = (
        f"{NAME} can't be fetched from {original}: there is no such file. Put the file there, or put {NAME} into a directory named in "
    )
    assert refusal(file).startswith(expected)
    original.mkdir()
    assert "it can't be read (Is a directory)" in refusal(file)
    original.rmdir()
    original.write_bytes(BODY[:-1])
    assert "expected 307200 bytes, got 307199" in refusal(file)
    assert left_in(cache) == set()


# Where files are found


def test_a_tampered_cached_file_is_fetched_anew(server: LocalServer, cache: Path, monkeypatch: pytest.MonkeyPatch):
    file = published(server.serve("/f", Answer(body=BODY)))
    fetch(file)
    assert status(file).state == "verified"
    times = (cache / NAME).stat()
    (cache / NAME).write_bytes(BODY[:-1] + b"!")
    os.utime(cache / NAME, ns=(times.st_atime_ns, times.st_mtime_ns))  # as damage on a disk: size and time tell nothing
    assert locate(file) is None
    assert status(file).state == "damaged"
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    assert "UPSCALE_BENCH_OFFLINE" in refusal(file)
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "0")
    assert fetch(file).path.read_bytes() == BODY
    assert server.requests == ["/f", "/f"]


@pytest.mark.parametrize("sha256", [sha256_hex(BODY), None], ids=["another hash", "unknown hash"])
def test_a_users_own_file_is_used_and_called_unverified(server: LocalServer, directories: list[Path], sha256: str | None):
    (directories[0] / NAME).write_bytes(b"the user's own")
    file = published(server.serve("/f", Answer(body=BODY)), sha256=sha256)
    expected = LocatedWeights(directories[0] / NAME, sha256_hex(b"the user's own"), verified=False, origin="directory")
    assert fetch(file) == locate(file) == expected
    assert (status(file).state, status(file).located) == ("unverified", expected)
    assert server.requests == []


def test_directories_come_in_their_order_and_before_the_cache(server: LocalServer, cache: Path, directories: list[Path]):
    file = published(server.serve("/f", Answer(body=BODY)))
    assert fetch(file).path == cache / NAME
    (directories[1] / NAME).write_bytes(BODY)
    assert locate(file) == LocatedWeights(directories[1] / NAME, sha256_hex(BODY), verified=True, origin="directory")
    (directories[0] / NAME).write_bytes(b"first")
    assert locate(file) == LocatedWeights(directories[0] / NAME, sha256_hex(b"first"), verified=False, origin="directory")


def test_only_direct_children_that_are_files_count(directories: list[Path]):
    (directories[0] / NAME).mkdir()
    (directories[1] / "deeper").mkdir()
    (directories[1] / "deeper" / NAME).write_bytes(BODY)
    assert locate(published("http://127.0.0.1/f")) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../b.pb",
        "a/../b.pb",
        "/b.pb",
        "a//b.pb",
        "a/",
        "..\\b.pb",
        "C:b.pb",
        "a\0b.pb",
        "a\nb.pb",
        ".b.pb.lock",
        "b.pb.first.json",
    ],
)
def test_a_name_that_leads_out_of_the_cache_or_to_its_records_is_refused(name: str):
    with pytest.raises(ValueError, match="Expected a file name or a path below a folder"):
        WeightFile(name=name, source=HttpSource("https://weights.invalid/f"), sha256=None, size_bytes=None)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "A" * 64, "unknown"])
def test_a_hash_that_is_none_is_refused(sha256: str):
    with pytest.raises(ValueError, match="64 lower-case"):
        published("https://weights.invalid/f", sha256=sha256)


def test_only_web_addresses_are_accepted():
    with pytest.raises(ValueError, match="http or https"):
        HttpSource("file:///etc/hostname")


# The record of hashes


def test_the_state_is_told_without_reading_the_file_again(directories: list[Path], own_home: Path, monkeypatch: pytest.MonkeyPatch):
    file = published("http://127.0.0.1/f")
    assert status(file).state == "missing"
    assert status(file).located is None
    path = directories[0] / NAME
    path.write_bytes(BODY)
    assert status(file).state == "verified"
    entry = {"size": len(BODY), "mtime_ns": path.stat().st_mtime_ns, "sha256": sha256_hex(BODY)}
    assert json.loads((own_home / "weight-hashes.json").read_text()) == {str(path): entry}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: pytest.fail("the file was read"))
        patch.setattr("core.weight_hashes.read_json", lambda _: {str(path): entry})
        assert status(file).state == "verified"
    path.write_bytes(b"changed")
    assert status(file).state == "unverified"
    path.unlink()
    assert status(file).state == "missing"


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", "null", '{"PATH": 3}', '{"PATH": {"size": 307200, "mtime_ns": 0, "sha256": "0"}}', "\udcff"]
)
def test_a_damaged_record_is_rebuilt(directories: list[Path], own_home: Path, damage: str):
    path = directories[0] / NAME
    path.write_bytes(BODY)
    record = own_home / "weight-hashes.json"
    record.write_bytes(damage.replace("PATH", str(path)).encode("utf-8", "surrogateescape"))
    assert status(published("http://127.0.0.1/f")).state == "verified"
    assert json.loads(record.read_text())[str(path)]["sha256"] == sha256_hex(BODY)


def test_the_record_keeps_all_files_of_several_threads_and_forgets_deleted_ones(directories: list[Path], own_home: Path):
    files = [WeightFile(name=f"net{i}.pb", source=HttpSource("http://127.0.0.1/f"), sha256=None, size_bytes=None) for i in range(12)]
    for file in files:
        (directories[0] / file.name).write_bytes(file.name.encode())
    threads = [threading.Thread(target=status, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = own_home / "weight-hashes.json"
    remembered = {Path(path).name: entry["sha256"] for path, entry in json.loads(record.read_text()).items()}
    assert remembered == {file.name: sha256_hex(file.name.encode()) for file in files}
    (directories[0] / "net0.pb").unlink()
    (directories[0] / "net1.pb").write_bytes(b"changed")
    status(files[1])
    assert len(json.loads(record.read_text())) == 11


def test_a_home_that_is_missing_and_cannot_be_made_costs_no_result(
    directories: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a-file").write_text("not a directory")
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(tmp_path / "a-file" / "home"))
    (directories[0] / NAME).write_bytes(BODY)
    assert status(published("http://127.0.0.1/f")).state == "verified"


def test_importing_opens_no_connection_and_loads_no_client():
    code = "import sys, core.weights; print(sorted({'pooch', 'requests', 'urllib3'} & set(sys.modules)))"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_local_server_says_what_it_was_told(server: LocalServer):
    url = server.serve("/f", Answer(body=BODY))
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == BODY
    assert server.requests == ["/f"]


@pytest.mark.parametrize(
    ("headers", "status", "content_range", "body"),
    [
        ({"Range": "bytes=300000-"}, 206, "bytes 300000-307199/307200", BODY[300_000:]),
        ({"Range": "bytes=10-19", "If-Range": '"one"'}, 206, "bytes 10-19/307200", BODY[10:20]),
        ({"Range": "bytes=10-19", "If-Range": '"two"'}, 200, None, BODY),
        ({"Range": "bytes=307200-"}, 416, "bytes */307200", b""),
    ],
)
def test_the_local_server_sends_ranges(server: LocalServer, headers: dict[str, str], status: int, content_range: str | None, body: bytes):
    url = server.serve("/f", Answer(body=BODY, etag='"one"'))
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        assert (answer.status, answer.headers["Content-Range"], answer.headers["ETag"], answer.read()) == (
            status,
            content_range,
            '"one"',
            body,
        )
