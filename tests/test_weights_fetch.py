"""Fetching weight files from a local server that also misbehaves. Nothing here needs a network."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.errors import WeightsError
from core.weights import FetchCancelledError, LocatedWeights, WeightFile, fetch, locate
from tests.local_server import Answer, LocalServer
from tests.weight_files import BODY, NAME, left_in, published, refusal, sha256_hex, unpublished_hash

pytestmark = pytest.mark.usefixtures("online")


# Fetching


def test_a_file_is_fetched_once_with_progress_and_then_found(server: LocalServer, cache: Path):
    file = published(server.serve("/f", Answer(body=BODY, pause_s=0.005)))
    assert locate(file) is None
    seen: list[tuple[int, int | None]] = []
    threads: set[threading.Thread] = set()

    def progress(done_bytes: int, total_bytes: int | None) -> None:
        seen.append((done_bytes, total_bytes))
        threads.add(threading.current_thread())

    expected = LocatedWeights(cache / NAME, sha256_hex(BODY), verified=True, origin="cache")
    assert fetch(file, progress=progress) == expected
    assert (cache / NAME).read_bytes() == BODY
    assert left_in(cache) == {NAME}
    done = [done_bytes for done_bytes, _ in seen]
    assert done == sorted(done)
    assert any(0 < n_bytes < len(BODY) for n_bytes in done)
    assert seen[-1] == (len(BODY), len(BODY))
    assert {total for _, total in seen} == {len(BODY)}
    assert threads == {threading.current_thread()}
    assert fetch(file) == locate(file) == expected
    assert server.requests == ["/f"]


def test_a_redirect_is_followed(server: LocalServer):
    server.serve("/there", Answer(body=BODY))
    moved = Answer(body=b"<p>moved", status=302, location="/there", content_type="text/html")
    assert fetch(unpublished_hash(server.serve("/here", moved))).sha256 == sha256_hex(BODY)
    assert server.requests == ["/here", "/there"]


@pytest.mark.parametrize("sha256", [sha256_hex(BODY), None], ids=["known hash", "unknown hash"])
@pytest.mark.parametrize("send_only", [0, 100_000, len(BODY) - 1])
def test_a_cut_download_leaves_no_file(server: LocalServer, cache: Path, sha256: str | None, send_only: int):
    url = server.serve("/f", Answer(body=BODY, send_only=send_only))
    line = refusal(published(url, sha256=sha256, size_bytes=None))
    assert "broke off" in line
    assert "UPSCALE_BENCH_WEIGHTS" in line
    assert left_in(cache) == set()
    server.serve("/f", Answer(body=BODY))
    assert fetch(published(url, sha256=sha256, size_bytes=None)).path.read_bytes() == BODY


def test_a_cut_in_a_file_of_unknown_length_is_noticed(server: LocalServer, cache: Path):
    url = server.serve("/f", Answer(body=BODY, send_only=131_072, chunked=True))
    assert "broke off after 131,072 of an unknown number of bytes" in refusal(unpublished_hash(url))
    assert left_in(cache) == set()
    server.serve("/f", Answer(body=BODY, chunked=True))
    assert fetch(unpublished_hash(url)).sha256 == sha256_hex(BODY)


def test_a_cut_that_nobody_could_notice_is_refused(server: LocalServer, cache: Path):
    url = server.serve("/f", Answer(body=BODY, send_only=100_000, announce_length=False))
    assert "how long" in refusal(unpublished_hash(url))
    assert "expected 307200 bytes, got 100000" in refusal(published(url, sha256=None))
    assert left_in(cache) == set()


def test_a_flipped_byte_is_refused(server: LocalServer, cache: Path):
    body = bytearray(BODY)
    body[200_000] ^= 1
    line = refusal(published(server.serve("/f", Answer(body=bytes(body)))))
    assert sha256_hex(BODY)[:12] in line
    assert sha256_hex(bytes(body))[:12] in line
    assert left_in(cache) == set()


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize("sha256", [sha256_hex(BODY), None], ids=["known hash", "unknown hash"])
def test_a_login_page_is_refused(server: LocalServer, cache: Path, sha256: str | None, content_type: str):
    page = Answer(body=b"\n<!doctype html><html><body>Log in</body></html>", content_type=content_type)
    assert "web page" in refusal(published(server.serve("/f", page), sha256=sha256, size_bytes=None))
    assert left_in(cache) == set()


def test_html_that_does_not_look_like_it_is_refused_without_a_hash(server: LocalServer):
    page = Answer(body=b"Access denied", content_type="text/html")
    assert "web page" in refusal(unpublished_hash(server.serve("/f", page)))


def test_the_right_bytes_are_accepted_whatever_the_server_calls_them(server: LocalServer):
    assert fetch(published(server.serve("/f", Answer(body=BODY, content_type="text/html", announce_length=False)))).verified


def test_binary_files_that_begin_like_a_page_are_accepted(server: LocalServer):
    graph = b"\n<\n\x05input\x12\x0bPlaceholder" + BODY  # a GraphDef whose first node is 60 bytes long
    assert fetch(unpublished_hash(server.serve("/f", Answer(body=graph)))).sha256 == sha256_hex(graph)


def test_an_empty_file_is_refused(server: LocalServer):
    assert "empty" in refusal(unpublished_hash(server.serve("/f", Answer(body=b""))))


def test_a_missing_page_is_told(server: LocalServer, cache: Path):
    url = server.serve("/f", Answer(body=b"<html>no</html>", status=404))
    line = refusal(published(url))
    assert "404 Not Found" in line
    assert url in line
    assert left_in(cache) == set()


def test_a_server_that_is_gone_is_told_and_cached_files_still_work(server: LocalServer):
    kept = published(server.serve("/f", Answer(body=BODY)))
    fetch(kept)
    other = WeightFile(name="other.pb", source=kept.source, sha256=sha256_hex(b"other"), size_bytes=None)
    server.close()
    assert fetch(kept).verified
    with pytest.raises(WeightsError, match=r"^other\.pb .* no connection to 127\.0\.0\.1:\d+\. Put other\.pb into a directory named in "):
        fetch(other)


def test_a_name_that_no_server_has_is_told(monkeypatch: pytest.MonkeyPatch):
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    assert "no connection to weights.invalid" in refusal(published("https://weights.invalid/f"))


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    asked = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: asked.wait(20))
    monkeypatch.setattr("core.http_source.RESOLVE_TIMEOUT_S", 0.3)
    began = time.monotonic()
    line = refusal(published("https://weights.invalid/f"))
    assert time.monotonic() - began < 3
    assert "from https://weights.invalid/f: no connection to weights.invalid: no name server answers. Put" in line
    monkeypatch.setattr("core.http_source.RESOLVE_TIMEOUT_S", 20)
    began = time.monotonic()
    with pytest.raises(FetchCancelledError):
        fetch(published("https://weights.invalid/f"), cancelled=lambda: True)
    assert time.monotonic() - began < 1.3
    asked.set()


@pytest.mark.parametrize("proxy", ["http://proxy.invalid:3128", "proxy.invalid:3128"])
def test_behind_a_proxy_only_the_name_of_the_proxy_is_resolved(monkeypatch: pytest.MonkeyPatch, proxy: str):
    asked: list[str] = []

    def no_such_name(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    assert "no connection to weights.invalid" in refusal(published("https://weights.invalid/f"))
    assert asked == ["proxy.invalid"]


def test_offline_nothing_is_asked_and_cached_files_work(server: LocalServer, monkeypatch: pytest.MonkeyPatch):
    file = published(server.serve("/f", Answer(body=BODY)))
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    line = refusal(file)
    assert "UPSCALE_BENCH_OFFLINE" in line
    assert "UPSCALE_BENCH_WEIGHTS" in line
    assert server.requests == []
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "0")
    fetch(file)
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    assert fetch(file).verified


def test_a_file_larger_than_the_disk_is_not_begun(server: LocalServer, cache: Path):
    file = published(server.serve("/f", Answer(body=BODY)), size_bytes=10**18)
    assert "953,674,316,406 MiB are needed" in refusal(file)
    assert left_in(cache) == set()
    assert server.requests == []


def test_a_home_that_cannot_be_written_is_told(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "a-file"
    blocked.write_text("not a directory")
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(blocked))
    assert "can't be stored" in refusal(published(server.serve("/f", Answer(body=BODY))))


# Cancelling, killing, several at once


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=BODY, stall_after=100_000),
        Answer(body=BODY, pause_s=0.1),
        Answer(body=BODY, gate=threading.Event()),
    ],
    ids=["a server that stalls", "a slow server", "a server that never answers"],
)
def test_a_fetch_is_cancelled_within_a_second(server: LocalServer, cache: Path, answer: Answer):
    file = published(server.serve("/f", answer))
    began = time.monotonic()
    with pytest.raises(FetchCancelledError, match=NAME):
        fetch(file, cancelled=lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began < 1.3
    assert left_in(cache) == set()
    server.serve("/f", Answer(body=BODY))
    assert fetch(file).verified


def test_waiting_for_another_fetch_can_be_cancelled(server: LocalServer):
    gate = threading.Event()
    file = published(server.serve("/f", Answer(body=BODY, gate=gate)))
    first = threading.Thread(target=fetch, args=(file,))
    first.start()
    while not server.requests:
        time.sleep(0.01)
    began = time.monotonic()
    with pytest.raises(FetchCancelledError):
        fetch(file, cancelled=lambda: True)
    assert time.monotonic() - began < 1
    gate.set()
    first.join()
    assert locate(file) is not None
    assert server.requests == ["/f"]


FETCHER = """
import sys
from core.weights import HttpSource, WeightFile, fetch
name, url, sha256, size_bytes = sys.argv[1:]
print("ready", flush=True)
print(fetch(WeightFile(name=name, source=HttpSource(url), sha256=sha256, size_bytes=int(size_bytes))).sha256)
"""


def start_fetcher(url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", FETCHER, NAME, url, sha256_hex(BODY), str(len(BODY))]
    root = Path(__file__).parents[1]
    child = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_two_processes_that_want_one_file_download_it_once(server: LocalServer, cache: Path):
    gate = threading.Event()
    url = server.serve("/f", Answer(body=BODY, gate=gate))
    children = [start_fetcher(url) for _ in range(2)]
    time.sleep(0.7)  # both have come to the server or to the lock
    gate.set()
    outputs = [child.communicate(timeout=20)[0].strip() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert outputs == [sha256_hex(BODY)] * 2
    assert server.requests == ["/f"]
    assert left_in(cache) == {NAME}


def test_a_fetch_that_was_killed_leaves_no_file_and_blocks_nobody(server: LocalServer, cache: Path):
    url = server.serve("/f", Answer(body=BODY, stall_after=100_000))
    child = start_fetcher(url)
    deadline = time.monotonic() + 10
    while not list(cache.glob(f".*/{NAME}")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert NAME not in left_in(cache)
    assert left_in(cache) != set()
    server.serve("/f", Answer(body=BODY))
    assert fetch(published(url)).verified
    assert left_in(cache) == {NAME}
