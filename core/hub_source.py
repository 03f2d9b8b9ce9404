"""Weight files from the Hugging Face hub, or a mirror of it (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables)."""

import http.client
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from core.http_source import HttpDownload
from core.weight_sources import Source, SourceError, Transfer

if TYPE_CHECKING:
    from requests import Response

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class HuggingFaceSource(Source):
    """A file of a repository on the Hugging Face hub, at a pinned revision.

    As for the hub's own clients, `HF_ENDPOINT` names a mirror to ask instead, and `HF_TOKEN` a token for repositories that
    need one. The token goes to that host only: not to the servers that it hands large files over to.
    """

    repository: str
    """`owner/name`."""
    revision: str
    """A commit hash: a branch may change under a reader's feet."""
    path: str
    """The file's path in the repository."""

    def __post_init__(self) -> None:
        if self.repository.count("/") != 1 or not all(self.repository.split("/")):
            raise ValueError(f"Expected owner/name as repository, got {self.repository!r}.")
        if not self.revision or any(part in {"", ".", ".."} for part in self.path.split("/")):
            raise ValueError(f"{self.repository}: expected a revision and a path in it, got {self.revision!r} and {self.path!r}.")

    @property
    def origin(self) -> str:
        """The address at the hub, with the revision. It is the same whatever mirror is asked: the file should be."""
        return self._address(HUB)

    def download(self, transfer: Transfer) -> str | None:
        """Stream the file. See `Source.download`."""
        endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError(f"HF_ENDPOINT is {endpoint!r} and should be an http or https address")
        token = os.environ.get("HF_TOKEN", "").strip() or None
        return HttpDownload(
            self._address(endpoint), transfer, token=token, explain=lambda answer: self._refusal(answer, endpoint, token)
        ).run()

    def _address(self, endpoint: str) -> str:
        return f"{endpoint}/{self.repository}/resolve/{quote(self.revision, safe='')}/{quote(self.path)}"

    def _refusal(self, answer: "Response", endpoint: str, token: str | None) -> str | None:
        """What a bad answer of the hub means. The answers of servers that it redirects to mean what they say."""
        if urlsplit(answer.url).netloc != urlsplit(endpoint).netloc:
            return None
        if answer.status_code in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            # Asked without a token, the hub says 401 of a repository that does not exist too.
            sent = "the HF_TOKEN that is set was not enough" if token else "none was sent"
            return (
                f"{self.repository} needs a token or an accepted licence: open {endpoint}/{self.repository}, accept its licence "
                f"if it asks for that, and set HF_TOKEN to a token of yours that may read it ({sent})"
            )
        if answer.status_code == http.client.NOT_FOUND:
            match answer.headers.get("x-error-code"):
                case "RepoNotFound":
                    return f"there is no repository {self.repository} at {endpoint}, or it is private and HF_TOKEN may not read it"
                case "RevisionNotFound":
                    return f"{self.repository} has no revision {self.revision}"
                case _:
                    return f"{self.repository} has no file {self.path} at revision {self.revision}"
        return None
