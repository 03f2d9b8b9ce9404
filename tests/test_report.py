"""A saved report: the stored pictures and numbers, nothing that runs except what is ours, and never half a file."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import export, jobs
from benchmark.presentation import report
from benchmark.presentation.results import start_view
from benchmark.schema import Comparison, GivenFile
from tests.comparisons import row_of, scores_of, store
from tests.pictures import noise, png, scene

ROOT = Path(__file__).resolve().parent.parent

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--"
OURS = {"html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "noscript", "div", "template", "script"}
OURS |= {"section", "fieldset", "label", "input", "table", "thead", "tbody", "tr", "th", "td", "span", "details", "summary", "pre", "code"}
OURS |= {"dl", "dt", "dd", "a", "kbd", "ul", "li", "select", "button", "svg", "path", "output", "img"}


class Parsed(HTMLParser):
    """What a parser that knows nothing of us makes of the file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.texts.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.texts:
            tag, attributes, before = self.texts[-1]
            self.texts[-1] = (tag, attributes, before + data)

    def inside(self, tag: str, **wanted: str) -> list[str]:
        """The texts that follow the start tags that have these attributes."""
        return [text for name, attributes, text in self.texts if name == tag and wanted.items() <= attributes.items()]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    results = {"bicubic": noise(64, 48, 1), "realesr-general-x4v3": noise(64, 48, 2)}
    rows = {
        "bicubic": row_of("bicubic", scores=scores_of(28.125), first_s=0.0021, warm_p50_s=0.0013, repeats=20, fingerprint="0" * 16),
        "realesr-general-x4v3": row_of(
            "realesr-general-x4v3", runtime="torch", scores=scores_of(24.5), first_s=3.21, options={"denoise": 0.5}, device="CPU"
        ),
        "sd-x4-upscaler": row_of("sd-x4-upscaler", status="oom", reason="Out of memory."),
    }
    return store(tmp_path, scene(64, 48), noise(16, 12), results, rows)


def text_of(directory: Path, job: Comparison | None = None) -> str:
    return b"".join(report.chunks(directory, job or jobs.load(directory))).decode()


def test_it_holds_each_stored_picture_byte_for_byte(stored: Path) -> None:
    parsed = Parsed(text_of(stored))
    held = {
        str(attributes["id"]): text for tag, attributes, text in parsed.texts if tag == "script" and attributes.get("type") == "text/plain"
    }
    assert {name: base64.b64decode(text, validate=True) for name, text in held.items()} == {
        path.name: path.read_bytes() for path in stored.glob("*.png")
    }
    assert len(held) == 4
    view = json.loads(parsed.inside("script", id="view")[0])
    job = jobs.load(stored)
    assert {picture["id"]: picture["url"] for picture in view["pictures"]} == {
        "original": job.original_path,
        "downscaled": job.downscaled_path,
        **{row.upscaler: row.output_path for row in job.rows},
    }
    assert (view["left"], view["right"]) == ("bicubic", "realesr-general-x4v3")


def test_its_numbers_are_those_of_the_document(stored: Path) -> None:
    parsed = Parsed(text_of(stored))
    job = jobs.load(stored)
    held = json.loads(parsed.inside("script", id="comparison")[0])
    assert held.items() >= json.loads(json.dumps(export.document(job))).items()
    cells = [text for tag, attributes, text in parsed.texts if tag == "td" and attributes.get("data-head") in ("PSNR dB", "SSIM", "MSE")]
    # Colour first, then luma; the row that failed has no numbers.
    assert cells == ["28.12", "0.7500", "12.50", "24.50", "0.7500", "12.50", "29.12", "0.7600", "13.50", "25.50", "0.7600", "13.50"]
    assert parsed.inside("td", **{"class": "ub-reason"}) == ["Out of memory."] * 2
    assert "1.3 ms" in parsed.inside("td", **{"data-head": "Per picture"})


def test_it_says_where_it_comes_from(stored: Path) -> None:
    parsed = Parsed(text_of(stored))
    told = " | ".join(parsed.inside("dd"))
    for fact in ("Abacus 5", "9 March 2026, 14:05 UTC", "13.0.0", "ab" * 32, "denoise = 0.5", f"rgb {'0' * 16}", "BSD-3-Clause"):
        assert fact in told
    # Of the weights: where they are published, and their published hash.
    assert "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-general-x4v3.pth" in parsed.inside("a")
    assert "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292" in told
    assert "upscale-bench upscale photo.png --upscaler bicubic --scale 4 -o result.png" in parsed.inside("code")


def test_foreign_texts_stay_texts(stored: Path) -> None:
    job = jobs.load(stored)
    assert job.image is not None
    job.image.name, job.image.notes, job.machine = HOSTILE, [HOSTILE], {"processor": HOSTILE, HOSTILE: HOSTILE}
    job.rows[0].name = job.rows[2].reason = HOSTILE
    job.rows[1].upscaler, job.rows[1].options = HOSTILE, {HOSTILE: HOSTILE}
    parsed = Parsed(text_of(stored, job))
    assert {tag for tag, _ in parsed.elements} <= OURS
    assert len([tag for tag, _ in parsed.elements if tag == "script"]) == 4 + 2 + 1
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on") or name == "style"]
    assert not [attributes for tag, attributes in parsed.elements if tag == "img" and "src" in attributes]
    assert json.loads(parsed.inside("script", id="view")[0])["pictures"][2]["label"] == HOSTILE
    assert HOSTILE in parsed.inside("dd")


def test_the_policy_allows_what_is_ours_by_its_hash_and_no_address(stored: Path) -> None:
    text = text_of(stored)
    parsed = Parsed(text)
    policy = next(attributes["content"] for tag, attributes in parsed.elements if tag == "meta" and "http-equiv" in attributes)
    rules = {rule.split()[0]: rule.split()[1:] for rule in str(policy).split(";")}

    def hashes(tag: str) -> set[str]:
        # The bytes between the tags, taken from the file itself.
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>" if tag == "style" else r'<script type="module">(.*?)</script>', text, re.DOTALL)
        return {f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies}

    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["blob:"]
    assert set(rules["script-src"]) == hashes("script")
    assert set(rules["style-src"]) == hashes("style")
    assert len(rules["style-src"]) == 2
    assert rules.keys() == {"default-src", "img-src", "script-src", "style-src", "base-uri", "form-action"}
    assert not [attributes for tag, attributes in parsed.elements if tag in ("link", "iframe", "object", "base")]


def test_large_pictures_pass_in_small_pieces(stored: Path) -> None:
    job = jobs.load(stored)
    large = stored / str(job.rows[0].output_path)
    content = np.random.default_rng(0).bytes(20_000_003)
    large.write_bytes(content)
    pieces = list(report.chunks(stored, job))
    assert max(map(len, pieces)) < 1_200_000
    assert base64.b64encode(content) in b"".join(pieces)


def test_a_report_that_can_not_be_finished_leaves_what_was_there(stored: Path, tmp_path: Path) -> None:
    job = jobs.load(stored)
    path = tmp_path / "report.html"
    path.write_text("the one before")
    (stored / str(job.rows[1].output_path)).unlink()
    with pytest.raises(FileNotFoundError):
        report.write(stored, job, path)
    assert path.read_text() == "the one before"
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", stored.name}


def test_without_an_original_there_are_no_scores(stored: Path) -> None:
    changes: dict[str, Any] = {"mode": "as-is", "downscaled_path": None}
    job = jobs.load(stored).model_copy(update=changes)
    for row in job.rows:
        row.scores = None
    parsed = Parsed(text_of(stored, job))
    assert "PSNR dB" not in parsed.inside("th")
    assert len([tag for tag, _ in parsed.elements if tag == "table"]) == 1


def test_the_command_line_writes_it_beside_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(scene(61, 43)))
    command = [sys.executable, "-m", "cli", "compare", "photo.png", "--scale", "2", "--upscalers", "bicubic,lanczos", "--repeats", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--out", "out", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["rows"]
    parsed = Parsed((tmp_path / "out" / "x2" / "report_x2_photo.html").read_text())
    held = [base64.b64decode(text) for text in parsed.inside("script", type="text/plain")]
    assert held[2:] == [(tmp_path / row["output_path"]).read_bytes() for row in rows]
    shown = [text for tag, attributes, text in parsed.texts if tag == "td" and attributes.get("data-head") == "PSNR dB"]
    assert shown == [f"{row['scores'][protocol]['psnr_db']:.2f}" for protocol in ("rgb", "y") for row in rows]


def test_bicubic_and_a_vivid_model_stand_side_by_side_wherever_they_are_listed(stored: Path) -> None:
    job = jobs.load(stored)
    job.rows = [job.rows[1], job.rows[2], job.rows[0]]
    view = json.loads(Parsed(text_of(stored, job)).inside("script", id="view")[0])
    assert (view["left"], view["right"]) == ("bicubic", "realesr-general-x4v3")
    job.rows[2].given = GivenFile(name="mine", sha256="ef" * 32)
    assert start_view(job)["right"] == "bicubic"
    job.rows = [job.rows[1], job.rows[2]]
    view = json.loads(Parsed(text_of(stored, job)).inside("script", id="view")[0])
    assert (view["left"], view["right"]) == ("bicubic", "bicubic")


def test_it_says_where_colour_and_luma_order_two_models_differently(stored: Path) -> None:
    job = jobs.load(stored)
    job.rows[1].aim, job.rows[1].scores = "faithful", {**scores_of(24.5), "y": scores_of(40.0)["y"]}
    note = "By colour Bicubic is ahead of Real-ESRGAN general, by luma it is the other way round."
    assert note in Parsed(text_of(stored, job)).inside("p", **{"class": "minor"})
    assert note not in text_of(stored)


def test_a_small_picture_that_was_given_is_named_as_such(stored: Path) -> None:
    job = jobs.load(stored).model_copy(update={"lr_sha256": "12" * 32})
    told = Parsed(text_of(stored, job)).inside("dd")
    assert "12" * 32 in told
    assert "a small version that was given, and restored" in told
    assert "shrunk by 4 (bicubic), and restored" in Parsed(text_of(stored)).inside("dd")
