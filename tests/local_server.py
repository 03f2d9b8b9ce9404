"""A small web server for tests: it serves bytes and ranges of them, and can cut, stall, lie and keep a log."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

BLOCK_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server sends for one path."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    announce_length: bool = True
    """False: no Content-Length; the end of the connection is the end of the body."""
    chunked: bool = False
    """Send the body in chunks, without its length."""
    send_only: int | None = None
    """Break the connection after so many bytes of what is asked for."""
    stall_after: int | None = None
    """After so many bytes of what is asked for send nothing more, but keep the connection until the server is closed."""
    pause_s: float = 0.0
    """Time between two blocks of 4 KiB."""
    gate: threading.Event | None = None
    """Answer only once it is set."""
    location: str = ""
    """Where a redirect leads."""
    etag: str = ""
    """With its quotes."""
    last_modified: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers; one of the above is replaced."""
    ranges: bool = True
    """False: the whole body comes whatever is asked for."""
    heeds_if_range: bool = True
    """False: a range is sent of whatever the body is now."""


@dataclass
class Exchange:
    """A request and what is sent for it."""

    path: str
    headers: Mapping[str, str]
    """Of the request; names in lower case."""
    status: int
    sent_bytes: int = 0
    """Of the body, without the framing of chunks. Counted before they go out, so that a client that has them finds them counted."""


@dataclass
class LocalServer:
    """A threaded HTTP server on 127.0.0.1; use it in a `with` statement."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """The paths asked for, in order."""
    log: list[Exchange] = field(default_factory=list)
    """The requests in order, with what was sent."""
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def serve(self, path: str, *answers: Answer) -> str:
        """Give these answers to `path` from now on, one after the other, the last one for ever. Returns the address."""
        self.answers[path] = list(answers)
        return f"{self.address}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening: from now on connections are refused."""
        if not self.closing.is_set():
            self.closing.set()
            self._http.shutdown()
            self._http.server_close()

    def next_answer(self, path: str) -> Answer:
        """The answer for a request that just came."""
        self.requests.append(path)
        waiting = self.answers.get(path, [Answer(status=404, body=b"not here")])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                # The answer to a GET without its body.
                self.do_GET()

            def do_GET(self) -> None:
                answer = server.next_answer(self.path)
                if answer.gate is not None:
                    answer.gate.wait(30)
                asked = {name.lower(): value for name, value in self.headers.items()}
                status, body, content_range = _select(answer, asked)
                exchange = Exchange(self.path, asked, status)
                server.log.append(exchange)
                headers = {"Content-Type": answer.content_type, "Location": answer.location, "Content-Range": content_range}
                headers |= {"ETag": answer.etag, "Last-Modified": answer.last_modified}
                if answer.chunked:
                    headers["Transfer-Encoding"] = "chunked"
                elif answer.announce_length:
                    headers["Content-Length"] = str(len(body))
                self.send_response(status)
                for name, value in {**headers, **answer.headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                self._send(answer, body, exchange)
                if answer.stall_after is not None:
                    server.closing.wait(30)

            def _send(self, answer: Answer, body: bytes, exchange: Exchange) -> None:
                limits = [limit for limit in (answer.send_only, answer.stall_after) if limit is not None]
                end = min([len(body), *limits])
                try:
                    for start in range(0, end, BLOCK_BYTES):
                        block = body[start : min(start + BLOCK_BYTES, end)]
                        exchange.sent_bytes += len(block)
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if answer.chunked else block)
                        self.wfile.flush()
                        if answer.pause_s:
                            server.closing.wait(answer.pause_s)
                    if answer.chunked and end == len(body):
                        self.wfile.write(b"0\r\n\r\n")
                except OSError:  # the client went away: what the tests of cancelling expect
                    pass

            def log_message(self, format: str, *args: object) -> None:
                """Keep the output of the tests clean."""

        return Handler


def _select(answer: Answer, asked: Mapping[str, str]) -> tuple[int, bytes, str]:
    """Status, body and Content-Range for what is asked for, by RFC 9110, 13.1.5 and 14; one range from a first byte on is known."""
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("range", ""))
    if answer.status != 200 or not answer.ranges or span is None:
        return answer.status, answer.body, ""
    condition = asked.get("if-range")
    unchanged = condition is None or (condition in {answer.etag, answer.last_modified} and not condition.startswith("W/"))
    if answer.heeds_if_range and not unchanged:
        return 200, answer.body, ""
    length = len(answer.body)
    first, last = int(span[1]), min(int(span[2] or length), length - 1)
    if first >= length:
        return 416, b"", f"bytes */{length}"
    return 206, answer.body[first : last + 1], f"bytes {first}-{last}/{length}"
