"""Files of the Hugging Face hub, from a local server that stands for it. Nothing here needs a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.weights import HttpSource, HuggingFaceSource, WeightFile, fetch
from tests.local_server import Answer, LocalServer
from tests.weight_files import BODY, NAME, refusal, sha256_hex

REVISION = "0282d9e2afcf7d1b4069a9e379e437c9f1ecc392"
PATH = f"/owner/nets/resolve/{REVISION}/experiments/DAT-2/net_x2.pth"
SOURCE = HuggingFaceSource("owner/nets", REVISION, "experiments/DAT-2/net_x2.pth")
FILE = WeightFile(name=NAME, source=SOURCE, sha256=sha256_hex(BODY), size_bytes=len(BODY))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "0")
    monkeypatch.delenv("UPSCALE_BENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("core.http_source.RETRY_WAITS_S", (0.01, 0.02))
    with LocalServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", f"{running.address}/")
        yield running


@pytest.fixture
def storage() -> Iterator[LocalServer]:
    """The server that the hub hands large files over to."""
    with LocalServer() as running:
        yield running


def test_the_origin_is_the_address_at_the_hub_whatever_mirror_is_set(hub: LocalServer):
    assert SOURCE.origin == f"https://huggingface.co{PATH}"
    assert hub.address not in SOURCE.origin


@pytest.mark.parametrize(
    ("revision", "path", "address"),
    [
        (REVISION, "net.pth", f"/owner/nets/resolve/{REVISION}/net.pth"),
        ("refs/pr/1", "a folder/net#1.pth", "/owner/nets/resolve/refs%2Fpr%2F1/a%20folder/net%231.pth"),
    ],
)
def test_a_file_comes_from_the_endpoint(hub: LocalServer, revision: str, path: str, address: str):
    hub.serve(address, Answer(body=BODY))
    source = HuggingFaceSource("owner/nets", revision, path)
    assert fetch(WeightFile(name=NAME, source=source, sha256=sha256_hex(BODY), size_bytes=None)).verified
    assert hub.requests == [address]


def test_an_endpoint_below_a_path_is_kept_whole(hub: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.address}/mirror")
    hub.serve(f"/mirror{PATH}", Answer(body=BODY))
    assert fetch(FILE).verified


@pytest.mark.parametrize("endpoint", ["hub.invalid", "ftp://hub.invalid", "https://"])
@pytest.mark.usefixtures("hub")
def test_an_endpoint_that_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch, endpoint: str):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "HF_ENDPOINT is '" in refusal(FILE)


def test_the_token_is_sent_to_the_endpoint_and_to_no_other_server(hub: LocalServer, storage: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    hub.serve("/signed", Answer(status=302, location=storage.serve("/blob", Answer(body=BODY))))
    hub.serve(PATH, Answer(status=307, location="/signed"))
    assert fetch(FILE).verified
    assert [each.headers.get("authorization") for each in hub.log] == ["Bearer hf_secret"] * 2
    assert [each.headers.get("authorization") for each in storage.log] == [None]


def test_the_token_does_not_follow_to_another_name_of_the_same_port(hub: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.serve("/blob", Answer(body=BODY))
    hub.serve(PATH, Answer(status=302, location=f"{hub.address}/blob".replace("127.0.0.1", "localhost")))
    assert fetch(FILE).verified
    assert [each.headers.get("authorization") for each in hub.log] == ["Bearer hf_secret", None]


def test_the_token_wins_over_a_netrc_file(hub: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.serve(PATH, Answer(body=BODY))
    assert fetch(FILE).verified
    assert hub.log[0].headers["authorization"] == "Bearer hf_secret"


@pytest.mark.parametrize("token", [None, "", " "])
def test_without_a_token_none_is_sent(hub: LocalServer, monkeypatch: pytest.MonkeyPatch, token: str | None):
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.serve(PATH, Answer(body=BODY))
    assert fetch(FILE).verified
    assert "authorization" not in hub.log[0].headers


def test_a_plain_web_address_gets_no_token(hub: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    source = HttpSource(hub.serve("/f", Answer(body=BODY)))
    assert fetch(WeightFile(name=NAME, source=source, sha256=sha256_hex(BODY), size_bytes=None)).verified
    assert "authorization" not in hub.log[0].headers


def test_a_transfer_behind_a_redirect_goes_on_where_it_broke_off(hub: LocalServer, storage: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    blob = storage.serve("/blob", Answer(body=BODY, etag='"one"', send_only=131_072), Answer(body=BODY, etag='"one"'))
    hub.serve(PATH, Answer(status=302, location=blob, etag='"of the redirect"'))
    assert fetch(FILE).verified
    assert [each.sent_bytes for each in storage.log] == [131_072, len(BODY) - 131_072]
    assert storage.log[1].headers["if-range"] == '"one"'
    assert "authorization" not in storage.log[1].headers


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("token", "sent"), [(None, "none was sent"), ("hf_secret", "the HF_TOKEN that is set was not enough")])
def test_a_file_that_needs_a_token_or_a_licence_says_so(
    hub: LocalServer, monkeypatch: pytest.MonkeyPatch, status: int, token: str | None, sent: str
):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.serve(PATH, Answer(status=status, body=b"Access to model owner/nets is restricted.", headers={"X-Error-Code": "GatedRepo"}))
    line = refusal(FILE)
    assert f"owner/nets needs a token or an accepted licence: open {hub.address}/owner/nets, " in line
    assert "set HF_TOKEN" in line
    assert sent in line
    assert SOURCE.origin in line
    assert "hf_secret" not in line


def test_a_refusal_of_the_server_behind_the_hub_is_not_called_a_licence(hub: LocalServer, storage: LocalServer):
    hub.serve(PATH, Answer(status=302, location=storage.serve("/blob", Answer(status=403, body=b"expired"))))
    line = refusal(FILE)
    assert "the server answered 403 Forbidden" in line
    assert "licence" not in line


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("RepoNotFound", "there is no repository owner/nets at http://127.0.0.1"),
        ("RevisionNotFound", f"owner/nets has no revision {REVISION}"),
        ("EntryNotFound", f"owner/nets has no file experiments/DAT-2/net_x2.pth at revision {REVISION}"),
        ("", f"owner/nets has no file experiments/DAT-2/net_x2.pth at revision {REVISION}"),
    ],
)
def test_what_is_not_there_is_named(hub: LocalServer, code: str, missing: str):
    hub.serve(PATH, Answer(status=404, body=b"<html>404</html>", headers={"X-Error-Code": code}))
    assert missing in refusal(FILE)


def test_offline_the_line_names_the_file_its_place_and_the_remedy(hub: LocalServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    assert refusal(FILE) == (
        f"{NAME} can't be fetched from https://huggingface.co{PATH}: UPSCALE_BENCH_OFFLINE is set; unset it to download. "
        f"Put {NAME} into a directory named in UPSCALE_BENCH_WEIGHTS, or try again later."
    )
    assert hub.requests == []


def test_a_mirror_that_is_gone_is_named(hub: LocalServer):
    hub.close()
    assert f"{PATH}: no connection to {hub.address.removeprefix('http://')}. Put" in refusal(FILE)


@pytest.mark.parametrize(
    ("repository", "revision", "path"),
    [
        ("nets", REVISION, "f"),
        ("a/b/c", REVISION, "f"),
        ("owner/", REVISION, "f"),
        ("a/b", "", "f"),
        ("a/b", REVISION, ""),
        ("a/b", REVISION, "../f"),
        ("a/b", REVISION, "/f"),
    ],
)
def test_what_is_no_file_of_a_repository_is_refused(repository: str, revision: str, path: str):
    with pytest.raises(ValueError, match="xpected"):
        HuggingFaceSource(repository, revision, path)
