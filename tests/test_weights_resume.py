"""Downloads that break off, are cancelled or killed, and go on from there. Nothing here needs a network."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from core.weight_sources import Transfer
from core.weights import FetchCancelledError, WeightFile, fetch, locate
from tests.local_server import Answer, Exchange, LocalServer
from tests.weight_files import BODY, NAME, left_in, published, refusal, sha256_hex, unpublished_hash

pytestmark = pytest.mark.usefixtures("online")

CUT = 131_072
"""Two blocks of the client, which throws half a block away."""
ETAG = '"one"'
OTHER = bytes(reversed(BODY))
LAST_YEAR = "Wed, 01 Jan 2025 00:00:00 GMT"
MIB = 1024 * 1024


@pytest.fixture
def record(cache: Path) -> Path:
    """What is written of a part."""
    return cache / f".{NAME}.part" / f"{NAME}.json"


def whole(**more: Any) -> Answer:
    return Answer(**{"body": BODY, "etag": ETAG, **more})


def cut(**more: Any) -> tuple[Answer, Answer]:
    """Two answers: one that breaks off after `CUT` bytes, and one for ever after that brings none."""
    return whole(send_only=CUT, **more), whole(send_only=0, **more)


def asked_for(exchange: Exchange) -> tuple[str | None, str | None]:
    return exchange.headers.get("range"), exchange.headers.get("if-range")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# A transfer that breaks off


def test_a_broken_transfer_goes_on_within_the_same_fetch(server: LocalServer, cache: Path):
    file = published(server.serve("/f", whole(send_only=CUT), whole(send_only=CUT), whole()))
    assert fetch(file).path.read_bytes() == BODY
    assert [asked_for(each) for each in server.log] == [(None, None), ("bytes=131072-", ETAG), ("bytes=262144-", ETAG)]
    assert [each.sent_bytes for each in server.log] == [CUT, CUT, len(BODY) - 2 * CUT]
    assert left_in(cache) == {NAME}


VALIDATED = {
    "ETag": {},
    "Last-Modified": {"etag": "", "last_modified": LAST_YEAR},
    "ETag before Last-Modified": {"last_modified": LAST_YEAR},
    "length unknown at first": {"chunked": True},
}


@pytest.mark.parametrize("sha256", [sha256_hex(BODY), None], ids=["known hash", "unknown hash"])
@pytest.mark.parametrize("more", VALIDATED.values(), ids=VALIDATED)
def test_what_has_arrived_is_kept_and_told_and_the_next_fetch_asks_for_the_rest(
    server: LocalServer, cache: Path, more: dict[str, Any], sha256: str | None
):
    file = published(server.serve("/f", *cut(**more)), sha256=sha256, size_bytes=None)
    line = refusal(file)
    assert "broke off after 131,072 of 307,200 bytes (tried 3 times)" in line
    assert "131,072 bytes are kept, and fetching it again goes on from there." in line
    assert locate(file) is None
    server.serve("/f", whole(**more))
    seen: list[tuple[int, int | None]] = []
    assert fetch(file, progress=lambda done, total: seen.append((done, total))).path.read_bytes() == BODY
    assert asked_for(server.log[-1]) == ("bytes=131072-", LAST_YEAR if more.get("etag") == "" else ETAG)
    assert (server.log[-1].status, server.log[-1].sent_bytes) == (206, len(BODY) - CUT)
    assert seen[-1] == (len(BODY), len(BODY))
    assert left_in(cache) - {f"{NAME}.first.json"} == {NAME}


def test_progress_counts_what_was_kept(server: LocalServer):
    file = published(server.serve("/f", *cut()))
    refusal(file)
    server.serve("/f", whole(pause_s=0.01))
    seen: list[tuple[int, int | None]] = []
    fetch(file, progress=lambda done, total: seen.append((done, total)))
    done = [each for each, _ in seen if each]
    assert done[0] >= CUT
    assert done == sorted(done)
    assert len(done) > 2
    assert {total for _, total in seen} == {len(BODY)}


UNVALIDATED: dict[str, Callable[[], dict[str, Any]]] = {
    "nothing": lambda: {"etag": ""},
    "a weak ETag": lambda: {"etag": 'W/"one"'},
    "a weak ETag and a date": lambda: {"etag": 'W/"one"', "last_modified": LAST_YEAR},
    # Functions, because of this one: tests are collected minutes before they run.
    "a date of just now": lambda: {"etag": "", "last_modified": formatdate(usegmt=True)},
    "no date at all": lambda: {"etag": "", "last_modified": "yesterday"},
    "compression": lambda: {"headers": {"Content-Encoding": "gzip"}, "body": gzip.compress(os.urandom(len(BODY)))},
}


@pytest.mark.parametrize("more", UNVALIDATED.values(), ids=UNVALIDATED)
def test_without_proof_that_the_file_is_the_same_nothing_is_kept(server: LocalServer, cache: Path, more: Callable[[], dict[str, Any]]):
    file = published(server.serve("/f", *cut(**more())))
    assert "kept" not in refusal(file)
    assert left_in(cache) == set()
    server.serve("/f", whole())
    assert fetch(file).verified
    assert {asked_for(each) for each in server.log} == {(None, None)}


def test_a_compressed_transfer_is_unpacked(server: LocalServer):
    packed = whole(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"})
    assert fetch(published(server.serve("/f", packed))).path.read_bytes() == BODY


def test_a_line_that_breaks_at_once_is_tried_a_few_times_only(server: LocalServer):
    assert "tried 3 times" in refusal(published(server.serve("/f", whole(send_only=1000))))
    assert len(server.log) == 3


def test_a_line_that_breaks_often_but_brings_a_megabyte_each_time_brings_the_file(server: LocalServer):
    body = BODY * 20  # 6 MB: six pieces, and two tries are allowed without progress
    server.serve("/f", whole(body=body, send_only=MIB + CUT))
    file = published(f"{server.address}/f", sha256=sha256_hex(body), size_bytes=len(body))
    assert fetch(file).verified
    assert sum(each.sent_bytes for each in server.log) == len(body)
    assert len(server.log) == 6


def test_a_gateway_that_is_busy_for_a_moment_is_asked_again(server: LocalServer):
    busy = Answer(status=503, body=b"busy")
    assert fetch(published(server.serve("/f", whole(send_only=CUT), busy, whole()))).verified
    assert server.log[-1].sent_bytes == len(BODY) - CUT
    server.serve("/g", busy)
    assert "503 Service Unavailable (tried 3 times)" in refusal(published(f"{server.address}/g", sha256=sha256_hex(OTHER)))
    assert server.requests.count("/g") == 3


# The server's file or the catalogue has changed


@pytest.mark.parametrize("heeds_if_range", [True, False], ids=["the whole file comes", "a range of the other file comes"])
@pytest.mark.parametrize("more", [{}, {"etag": "", "last_modified": LAST_YEAR}], ids=["ETag", "Last-Modified"])
def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server: LocalServer, more: dict[str, Any], heeds_if_range: bool):
    file = unpublished_hash(server.serve("/f", *cut(**more)))
    refusal(file)
    changed = {"etag": "", "last_modified": "Thu, 02 Jan 2025 00:00:00 GMT"} if more else {"etag": '"two"'}
    server.serve("/f", whole(body=OTHER, heeds_if_range=heeds_if_range, **changed))
    assert fetch(file).path.read_bytes() == OTHER
    assert sum(each.status == 200 for each in server.log[3:]) == 1


def test_a_server_that_knows_no_ranges_sends_the_whole_file(server: LocalServer):
    file = published(server.serve("/f", *cut()))
    refusal(file)
    server.serve("/f", whole(ranges=False))
    assert fetch(file).verified
    assert server.log[-1].sent_bytes == len(BODY)


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 131071-307199/307200",
        "bytes 131073-307199/307200",
        "bytes 0-307199/307200",
        "bytes 131072-307199/307201",
        "bytes 131072-131071/307200",
        "bytes 131072-307199/*",
        "items 131072-307199/307200",
        "131072",
        " ",
    ],
)
def test_another_range_than_asked_for_is_not_appended(server: LocalServer, content_range: str):
    file = unpublished_hash(server.serve("/f", *cut()))
    refusal(file)
    server.serve("/f", whole(headers={"Content-Range": content_range}), whole())
    assert fetch(file).path.read_bytes() == BODY
    assert [asked_for(each)[0] for each in server.log[3:]] == ["bytes=131072-", None]


def test_a_compressed_rest_is_not_appended(server: LocalServer):
    file = unpublished_hash(server.serve("/f", *cut()))
    refusal(file)
    headers = {"Content-Encoding": "gzip", "Content-Range": f"bytes {CUT}-{len(BODY) - 1}/{len(BODY)}"}
    server.serve("/f", Answer(status=206, body=gzip.compress(OTHER[CUT:]), headers=headers), whole())
    assert fetch(file).path.read_bytes() == BODY


def test_a_rest_that_is_not_there_any_more_starts_anew(server: LocalServer):
    file = unpublished_hash(server.serve("/f", *cut()))
    refusal(file)
    server.serve("/f", whole(body=BODY[:500]))
    assert fetch(file).path.read_bytes() == BODY[:500]
    assert [each.status for each in server.log[3:]] == [416, 200]


def test_a_rest_longer_than_announced_is_dropped(server: LocalServer):
    file = unpublished_hash(server.serve("/f", *cut()))
    refusal(file)
    longer = whole(body=BODY + b"more", chunked=True, headers={"Content-Range": "bytes 131072-307199/307200"})
    server.serve("/f", longer, whole())
    assert fetch(file).path.read_bytes() == BODY
    assert [asked_for(each)[0] for each in server.log[3:]] == ["bytes=131072-", None]


def test_a_part_of_what_the_catalogue_named_before_is_dropped(server: LocalServer, cache: Path):
    refusal(published(server.serve("/f", *cut())))
    server.serve("/f", *cut(body=OTHER))  # by mistake under the same ETag
    refusal(published(f"{server.address}/f", sha256=sha256_hex(OTHER)))
    assert asked_for(server.log[3]) == (None, None)
    server.serve("/g", whole(body=OTHER))
    assert fetch(published(f"{server.address}/g", sha256=sha256_hex(OTHER))).verified
    assert asked_for(server.log[-1]) == (None, None)
    assert left_in(cache) == {NAME}


# Damaged parts


def damage(record: Path, **changes: object) -> None:
    record.write_text(json.dumps({**json.loads(record.read_text()), **changes}))


def flip(path: Path, position: int) -> None:
    body = bytearray(path.read_bytes())
    body[position] ^= 1
    path.write_bytes(body)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": lambda record: flip(record.with_name(NAME), 50_000),
    "a cut part": lambda record: os.truncate(record.with_name(NAME), 131_071),
    "a lost part": lambda record: record.with_name(NAME).unlink(),
    "a lost record": lambda record: record.unlink(),
    "an empty record": lambda record: record.write_text(""),
    "half a record": lambda record: record.write_text(record.read_text()[:50]),
    "a list": lambda record: record.write_text("[]"),
    "another length": lambda record: damage(record, bytes=131_071),
    "nothing": lambda record: damage(record, bytes=0, sha256=sha256_hex(b"")),
    "more than announced": lambda record: damage(record, total=131_071),
    "no validator": lambda record: damage(record, validator=None),
    "another hash": lambda record: damage(record, sha256="0" * 64),
}


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_part_is_not_built_upon_even_where_no_hash_is_known(
    server: LocalServer, cache: Path, record: Path, harm: Callable[[Path], object]
):
    file = unpublished_hash(server.serve("/f", *cut()))
    refusal(file)
    harm(record)
    server.serve("/f", whole())
    assert fetch(file).path.read_bytes() == BODY
    assert [asked_for(each) for each in server.log[3:]] == [(None, None)]
    assert left_in(cache) == {NAME, f"{NAME}.first.json"}


def test_what_came_after_the_last_record_is_asked_for_again(server: LocalServer, record: Path):
    file = published(server.serve("/f", *cut()))
    refusal(file)
    with record.with_name(NAME).open("ab") as part:
        part.write(b"not recorded" * 100_000)
    server.serve("/f", whole())
    assert fetch(file).verified
    assert asked_for(server.log[-1]) == ("bytes=131072-", ETAG)


def test_wrong_bytes_put_together_from_two_answers_are_fetched_once_more(server: LocalServer, cache: Path):
    file = published(server.serve("/f", *cut(body=OTHER)))
    refusal(file)
    server.serve("/f", whole())
    assert fetch(file).verified
    assert [asked_for(each)[0] for each in server.log[3:]] == ["bytes=131072-", None]
    assert left_in(cache) == {NAME}


def test_wrong_bytes_that_come_again_are_refused_and_not_kept(server: LocalServer, cache: Path):
    file = published(server.serve("/f", *cut(body=OTHER)))
    refusal(file)
    server.serve("/f", whole(body=OTHER))
    assert "sha256" in refusal(file)
    assert [asked_for(each)[0] for each in server.log[3:]] == ["bytes=131072-", None]
    assert left_in(cache) == set()
    server.serve("/f", whole())
    assert fetch(file).verified


@pytest.mark.parametrize("body", [BODY, OTHER], ids=["right bytes", "wrong bytes"])
def test_a_part_that_is_complete_needs_no_server_unless_it_is_wrong(server: LocalServer, cache: Path, record: Path, body: bytes):
    file = published(server.serve("/f", whole()))
    left = Transfer(record.parent, NAME, {"source": file.source.origin, "sha256": file.sha256})
    left.take_up()
    left.begin(validator=ETAG, total=len(body))
    left.write(body)
    left.close()
    assert fetch(file).path.read_bytes() == BODY
    assert len(server.requests) == (body == OTHER)
    assert left_in(cache) == {NAME}


def test_a_login_page_in_place_of_the_rest_is_refused_and_not_kept(server: LocalServer, cache: Path):
    file = published(server.serve("/f", *cut()))
    refusal(file)
    server.serve("/f", Answer(body=b"<!doctype html><html>Log in</html>", content_type="text/html", etag='"page"'))
    assert "web page" in refusal(file)
    assert left_in(cache) == set()
    server.serve("/f", whole())
    assert fetch(file).verified


def test_a_server_that_lost_the_file_for_a_while_costs_no_part(server: LocalServer):
    file = published(server.serve("/f", *cut()))
    refusal(file)
    server.serve("/f", Answer(status=404, body=b"not here"))
    line = refusal(file)
    assert "404 Not Found" in line
    assert "131,072 bytes are kept" in line
    server.serve("/f", whole())
    assert fetch(file).verified
    assert server.log[-1].sent_bytes == len(BODY) - CUT


# Cancelled, stopped, killed


def test_a_cancelled_fetch_keeps_what_came_and_says_so(server: LocalServer):
    file = published(server.serve("/f", whole(stall_after=CUT)))
    seen: list[int] = []
    with pytest.raises(FetchCancelledError, match=r"cancelled\. 131,072 bytes are kept, and fetching it again goes on from there\.$"):
        fetch(file, progress=lambda done, _: seen.append(done), cancelled=lambda: max(seen, default=0) > 0)
    server.serve("/f", whole())
    assert fetch(file).verified
    assert asked_for(server.log[-1]) == ("bytes=131072-", ETAG)


def test_a_pause_before_the_next_try_can_be_cancelled(server: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.http_source.RETRY_WAITS_S", (60.0,))
    file = published(server.serve("/f", *cut()))
    began = time.monotonic()
    with pytest.raises(FetchCancelledError, match="131,072 bytes are kept"):
        fetch(file, cancelled=lambda: len(server.log) > 0 and time.monotonic() - began > 0.5)
    assert time.monotonic() - began < 2


def test_ctrl_c_keeps_what_came(server: LocalServer):
    def stop(done: int, _: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    file = published(server.serve("/f", whole(stall_after=CUT)))
    with pytest.raises(KeyboardInterrupt):
        fetch(file, progress=stop)
    server.serve("/f", whole())
    assert fetch(file).verified
    assert asked_for(server.log[-1]) == ("bytes=131072-", ETAG)


def test_a_thread_that_was_left_behind_writes_nothing_more(tmp_path: Path):
    transfer = Transfer(tmp_path / "folder", "net", {})
    transfer.take_up()
    transfer.begin(validator=ETAG)
    transfer.write(b"before")
    transfer.stop()
    for late in (lambda: transfer.write(b"after"), transfer.begin, transfer.take_up):
        with pytest.raises(FetchCancelledError):
            late()
    transfer.close()
    assert (tmp_path / "folder" / "net").read_bytes() == b"before"


FETCHER = """
import resource, sys
from core.weights import HttpSource, WeightFile, fetch
name, url, sha256, limit_bytes = sys.argv[1:]
if int(limit_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes),) * 2)
print("ready", flush=True)
print(fetch(WeightFile(name=name, source=HttpSource(url), sha256=sha256, size_bytes=None)).sha256)
"""


def start_fetcher(url: str, *, name: str = NAME, limit_bytes: int = 0) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", FETCHER, name, url, sha256_hex(BODY), str(limit_bytes)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def kill(child: "subprocess.Popen[str]") -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)


@pytest.mark.parametrize("name", [NAME, "a-model/unet/net.pb"])
def test_after_a_kill_the_next_fetch_asks_only_for_the_rest(server: LocalServer, cache: Path, name: str):
    url = server.serve("/f", whole(stall_after=CUT), whole())
    child = start_fetcher(url, name=name)
    folder = (cache / name).with_name(f".{Path(name).name}.part")
    record = folder / f"{Path(name).name}.json"
    wait_until(record.exists)
    assert list(folder.glob("*")) != []
    kill(child)
    kept_bytes = json.loads(record.read_text())["bytes"]
    assert 0 < kept_bytes <= CUT
    file = WeightFile(name=name, source=published(url).source, sha256=sha256_hex(BODY), size_bytes=len(BODY))
    assert locate(file) is None
    assert fetch(file).path == cache / name
    assert sha256_hex((cache / name).read_bytes()) == sha256_hex(BODY)
    assert asked_for(server.log[-1]) == (f"bytes={kept_bytes}-", ETAG)
    assert server.log[-1].sent_bytes == len(BODY) - kept_bytes
    assert server.requests == ["/f", "/f"]
    assert {path.name for path in (cache / name).parent.iterdir()} == {Path(name).name, f".{Path(name).name}.lock"}


def test_a_process_that_waits_goes_on_where_a_killed_one_stopped(server: LocalServer, cache: Path, record: Path):
    url = server.serve("/f", whole(stall_after=CUT), whole())
    first = start_fetcher(url)
    wait_until(record.exists)
    second = start_fetcher(url)
    time.sleep(0.3)
    assert server.requests == ["/f"]
    kill(first)
    output, errors = second.communicate(timeout=20)
    assert (second.returncode, output.strip()) == (0, sha256_hex(BODY)), errors
    assert (server.log[-1].status, server.log[-1].sent_bytes) == (206, len(BODY) - CUT)
    assert left_in(cache) == {NAME}


def test_a_disk_that_is_full_is_told_and_costs_no_byte_that_was_stored(server: LocalServer):
    url = server.serve("/f", whole())
    child = start_fetcher(url, limit_bytes=100_000)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 1
    assert f"{NAME} can't be stored in " in errors
    assert fetch(published(url)).verified
    assert asked_for(server.log[-1]) == ("bytes=100000-", ETAG)
