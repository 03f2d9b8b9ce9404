"""A small web server for tests: it serves bytes, and can cut, stall, lie and count."""

import threading
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
    send_only: int | None = None
    """Break the connection after so many bytes of the body."""
    stall_after: int | None = None
    """After so many bytes of the body send nothing more, but keep the connection until the server is closed."""
    pause_s: float = 0.0
    """Time between two blocks of 4 KiB."""
    gate: threading.Event | None = None
    """Answer only once it is set."""
    location: str = ""
    """Where a redirect leads."""


@dataclass
class LocalServer:
    """A threaded HTTP server on 127.0.0.1; use it in a `with` statement."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """The paths asked for, in order."""
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def serve(self, path: str, answer: Answer) -> str:
        """Give this answer to `path` from now on. Returns the address."""
        self.answers[path] = answer
        return f"http://127.0.0.1:{self._http.server_port}{path}"

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

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                answer = server.answers.get(self.path, Answer(status=404, body=b"not here"))
                if answer.gate is not None:
                    answer.gate.wait(30)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                if answer.location:
                    self.send_header("Location", answer.location)
                if answer.announce_length:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self._send(answer)

            def _send(self, answer: Answer) -> None:
                limits = [limit for limit in (answer.send_only, answer.stall_after) if limit is not None]
                end = min([len(answer.body), *limits])
                try:
                    for start in range(0, end, BLOCK_BYTES):
                        self.wfile.write(answer.body[start : min(start + BLOCK_BYTES, end)])
                        self.wfile.flush()
                        if answer.pause_s:
                            server.closing.wait(answer.pause_s)
                except OSError:  # the client went away: what the tests of cancelling expect
                    return
                if answer.stall_after is not None:
                    server.closing.wait(30)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the output of the tests clean."""

        return Handler
