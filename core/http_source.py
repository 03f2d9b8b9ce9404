"""Weight files from a web server, taken up again where an earlier transfer broke off."""

import http.client
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.settings import MIB
from core.weight_sources import BLOCK_BYTES, POLL_S, Source, SourceError, Transfer, run_aside

if TYPE_CHECKING:
    from requests import PreparedRequest, RequestException, Response

RESOLVE_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
RETRY_WAITS_S = (0.5, 1.0, 2.0)
"""Pauses before a broken transfer is tried again. Each further MiB of the file allows all of them once more."""
PASSING_TROUBLE = (502, 503, 504)
"""Answers of a gateway whose server is restarting or busy: asking again in a moment helps."""
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class HttpSource(Source):
    """A file behind an `http` or `https` address."""

    url: str

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise ValueError(f"Expected an http or https address, got {self.url!r}.")

    @property
    def origin(self) -> str:
        """The address."""
        return self.url

    def download(self, transfer: Transfer) -> str | None:
        """Stream the file, going on from what is there. See `Source.download`."""
        return HttpDownload(self.url, transfer).run()


class HttpDownload:
    """One file on its way from a web server into a `Transfer`."""

    def __init__(
        self,
        url: str,
        transfer: Transfer,
        *,
        token: str | None = None,
        explain: "Callable[[Response], str | None]" = lambda _: None,
    ) -> None:
        """Take what is needed; opens no connection.

        Parameters
        ----------
        token:
            Sent as a bearer token to the host of `url`, never to a host that this one redirects to.
        explain:
            What a bad answer means at this server, as a clause; None where it means what it says.
        """
        self._url = url
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        self._transfer = transfer
        self._token = token
        self._explain = explain
        self._reached = False

    def run(self) -> str | None:
        """Bring the whole file; returns and raises as `Source.download`."""
        transfer = self._transfer
        failures, milestone = 0, transfer.done_bytes + MIB
        while True:
            try:
                return self._ask()
            except _InterruptedError as error:
                if transfer.done_bytes >= milestone:
                    failures, milestone = 0, transfer.done_bytes + MIB
                if failures == len(RETRY_WAITS_S):
                    raise SourceError(f"{error} (tried {failures + 1} times)") from error
                transfer.pause(RETRY_WAITS_S[failures])
                failures += 1

    def _ask(self) -> str | None:
        """Ask once for what is missing."""
        import requests

        transfer = self._transfer
        if transfer.resumed and transfer.done_bytes == transfer.total:
            return None  # an earlier fetch was killed between the last byte and the check
        headers = {"Accept-Encoding": "identity"}  # compressed in transit, the announced length would not be the file's
        if transfer.kept_bytes and transfer.validator:
            headers |= {"Range": f"bytes={transfer.kept_bytes}-", "If-Range": transfer.validator}
        timeouts_s = (self._connect_timeout_s(), READ_TIMEOUT_S)
        with requests.Session() as session:
            try:
                answer = session.get(
                    self._url, headers=headers, stream=True, timeout=timeouts_s, auth=self._authorize if self._token else None
                )
            except requests.RequestException as error:
                raise self._no_answer(error) from error
            with answer:
                self._reached = True
                doubt = self._accept(answer, asked_for_rest="Range" in headers)
                self._receive(answer)
        return doubt

    def _connect_timeout_s(self) -> float:
        """Resolve the host's name, or its proxy's, and share the time for connecting among its addresses, which are tried in turn.

        The resolver of the system may take minutes without a network, and no timeout of a socket reaches it.
        """
        from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

        proxy = select_proxy(self._url, get_environ_proxies(self._url))
        host = urlsplit(prepend_scheme_if_needed(proxy, "http") if proxy else self._url).hostname
        lookup = run_aside(f"resolve {host}", lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        began = time.monotonic()
        while not wait([lookup], POLL_S).done:
            self._transfer.check()
            if time.monotonic() - began > RESOLVE_TIMEOUT_S:
                raise self._trouble(f"no connection to {self._host}: no name server answers")
        try:
            return max(CONNECT_TIMEOUT_S / len(lookup.result()), CONNECT_TIMEOUT_S / 4)
        except (OSError, UnicodeError) as error:
            raise self._trouble(f"no connection to {self._host}: its name can't be resolved") from error

    def _authorize(self, request: "PreparedRequest") -> "PreparedRequest":
        # As an `auth` callable, not as a header: requests prefers the user's .netrc to a header. It takes the token off before it
        # follows a redirect to another host or port.
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _accept(self, answer: "Response", *, asked_for_rest: bool) -> str | None:
        """Get the part ready for the body of the answer, or raise. Returns a doubt."""
        transfer = self._transfer
        if answer.status_code == http.client.OK:
            doubt = _doubt(answer)
            # What is doubtful is not worth keeping, and of a decoded body no place is known in the encoded one.
            keep = doubt is None and not _is_encoded(answer)
            transfer.begin(validator=_validator(answer) if keep else None, total=None if _is_encoded(answer) else _length(answer))
            return doubt
        if asked_for_rest and answer.status_code in {http.client.PARTIAL_CONTENT, http.client.REQUESTED_RANGE_NOT_SATISFIABLE}:
            total = self._total_if_it_continues(answer)
            if total is None:
                transfer.begin()
                raise _InterruptedError("the server did not send the missing rest")
            transfer.total, transfer.resumed = total, True
            return _doubt(answer)
        reason = self._explain(answer) or _status_line(answer)
        raise _InterruptedError(reason) if answer.status_code in PASSING_TROUBLE else SourceError(reason)

    def _total_if_it_continues(self, answer: "Response") -> int | None:
        """The length of the whole file if the body is what comes after the part, in the same version of the file; None otherwise."""
        transfer = self._transfer
        span = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
        if span is None or _is_encoded(answer) or answer.status_code != http.client.PARTIAL_CONTENT:
            return None
        first, last, total = map(int, span.groups())
        if first != transfer.done_bytes or not first <= last < total or transfer.total not in {None, total}:
            return None
        # A server that overlooks If-Range sends the rest of another version; its own validator tells.
        header = "etag" if (transfer.validator or "").startswith('"') else "last-modified"
        return total if answer.headers.get(header, transfer.validator) == transfer.validator else None

    def _receive(self, answer: "Response") -> None:
        import requests

        transfer = self._transfer
        try:
            for block in answer.iter_content(BLOCK_BYTES):
                transfer.write(block)
        except requests.RequestException as error:
            raise self._broken_off() from error
        if transfer.total is not None and transfer.done_bytes > transfer.total:
            transfer.begin()
            raise _InterruptedError("the server sent more than it announced")
        if transfer.total not in {None, transfer.done_bytes}:
            raise self._broken_off()

    def _broken_off(self) -> "_InterruptedError":
        total = "an unknown number of" if self._transfer.total is None else f"{self._transfer.total:,}"
        return _InterruptedError(f"the transfer broke off after {self._transfer.done_bytes:,} of {total} bytes")

    def _no_answer(self, error: "RequestException") -> SourceError:
        import requests

        if isinstance(error, requests.exceptions.SSLError):
            return SourceError("no secure connection: the server's certificate was not accepted")
        if isinstance(error, requests.Timeout):
            return self._trouble(f"no answer from {self._host} in time")
        if isinstance(error, requests.ConnectionError):
            return self._trouble(f"no connection to {self._host}")
        return SourceError(f"the request failed ({type(error).__name__})")

    def _trouble(self, reason: str) -> SourceError:
        """A server that has answered in this fetch may come back in a moment; without a network at all, waiting is no help."""
        return _InterruptedError(reason) if self._reached else SourceError(reason)


class _InterruptedError(SourceError):
    """The transfer stopped for a reason that may pass."""


def _status_line(answer: "Response") -> str:
    return f"the server answered {answer.status_code} {http.client.responses.get(answer.status_code, '')}".rstrip()


def _doubt(answer: "Response") -> str | None:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "text/html":
        return "the server sent a web page (text/html)"
    if "content-length" not in answer.headers and answer.headers.get("transfer-encoding", "").lower() != "chunked":
        return "the server did not say how long the file is, so a broken transfer would go unseen"
    return None


def _length(answer: "Response") -> int | None:
    length = answer.headers.get("content-length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _is_encoded(answer: "Response") -> bool:
    return answer.headers.get("content-encoding", "identity").strip().lower() != "identity"


def _validator(answer: "Response") -> str | None:
    """What may be sent as If-Range: a strong ETag; a date only if there is no ETag and the date is strong too (RFC 9110, 13.1.5).

    A date is strong if the server named a Date a minute later (RFC 7232, 2.2.2): within one second a file can change twice.
    """
    etag, modified, date = (answer.headers.get(name) for name in ("etag", "last-modified", "date"))
    if etag is not None:
        return etag if etag.startswith('"') else None
    if modified is None or date is None:
        return None
    try:
        age = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return None
    return modified if age >= timedelta(minutes=1) else None
