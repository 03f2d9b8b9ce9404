"""A comparison as one HTML file that needs nothing else: the viewer with its lossless pictures, the table, and where it all comes from.

The file is made in pieces, so that a comparison of large pictures never lies in memory as a whole. It opens from a disk without a
server, asks nobody for anything, and says so to the browser: its Content-Security-Policy allows the two scripts and styles that are
in it, by their hashes, and pictures that the page makes from its own text.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from html import escape
from pathlib import Path

from benchmark import export
from benchmark.presentation import viewer
from benchmark.presentation.facts import definition_list
from benchmark.presentation.format import minute
from benchmark.presentation.results import MEANING, MEANING_AS_IS, NAMES_HIDDEN, frame, shown_pictures, start_view, status_line
from benchmark.presentation.table import PROTOCOLS, order_note, table
from benchmark.presentation.use_model import use_of
from benchmark.schema import Comparison

# Three bytes are four characters of base64: pieces of a multiple of three join without padding.
PIECE_BYTES = 3 * 2**18
MACHINE = {
    "processor": "Processor",
    "cores": "Cores it may use",
    "logical_cores": "Cores of the machine",
    "memory_gib": "Memory, GiB",
    "gpu": "GPU",
    "system": "System",
    "python": "Python",
}
"""Heads of the facts about the machine; what is not here is a library, and its head is its name."""
HERE = Path(__file__).parent


def chunks(directory: Path, job: Comparison) -> Iterator[bytes]:
    """The file, piece by piece.

    Raises
    ------
    OSError
        A stored picture can't be read, for instance because the comparison is being deleted.
    """
    # A picture's address inside the file is the id of the element that holds it: its stored name.
    pictures = [replace(picture, action="") for picture in shown_pictures(job, str)]
    yield (_head(job) + _body(job) + "</main>\n").encode()
    view = {
        "pictures": [asdict(picture) for picture in pictures],
        "frame": frame(job),
        "follow_newest": False,
        "pick": None,
        "parts_above_px": None,
    }
    yield _data("view", {**view, **start_view(job)}).encode()
    yield _data("comparison", {**export.document(job), "created_at": job.created_at, "finished_at": job.finished_at}).encode()
    for name in dict.fromkeys(picture.url for picture in pictures if picture.url):
        yield f'<script type="text/plain" id="{escape(name)}">'.encode()
        with (directory / name).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield base64.b64encode(piece)
        yield b"</script>\n"
    yield f'<script type="module">{_script()}</script>\n</body>\n</html>\n'.encode()


def write(directory: Path, job: Comparison, path: Path) -> None:
    """Write the file to `path`, whole or not at all. Raises `OSError`."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(chunks(directory, job))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def download_name(job: Comparison) -> str:
    """What the file is called when a browser saves it."""
    return f"upscale-bench_{job.image.name if job.image else 'picture'}_x{job.scale:g}.html"


def _title(job: Comparison) -> str:
    name = job.image.name if job.image else "picture"
    return f"{name}, x{job.scale:g}, {len(job.rows)} upscaler{'s' if len(job.rows) != 1 else ''}"


def _head(job: Comparison) -> str:
    policy = (
        f"default-src 'none'; img-src blob:; script-src {_hash(_script())}; style-src {_hash(_style())} {_hash(viewer.css())}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(_title(job))} - Upscale Bench</title>
<style>{_style()}</style>
</head>
"""


def _body(job: Comparison) -> str:
    scored = job.mode == "restore"
    notes = " ".join([status_line(job, 0), *(job.image.notes if job.image else [])])
    scores = (_switch() + "".join(_scores(job, protocol) for protocol in PROTOCOLS)) if scored else table(job, "rgb")
    # The page writes it with Markdown's emphasis.
    meaning = (MEANING if scored else MEANING_AS_IS).replace("*", "")
    note = order_note(job) or ""
    return f"""<body>
<main>
<header><h1>{escape(_title(job))}</h1><p class="minor">Upscale Bench, {escape(minute(job.created_at))}</p></header>
<p>{escape(notes)}</p>
<noscript><p>The pictures are in this file, but without JavaScript they can't be shown.</p></noscript>
<div id="viewer"><template shadowrootmode="open"><style>{viewer.css()}</style>{viewer.html()}</template></div>
<p class="scores minor hidden-names">{escape(NAMES_HIDDEN)}</p>
<div class="numbers">
<p class="scores minor">{escape(meaning)}</p>
{scores}
<p class="minor">{escape(note)}</p>
</div>
<h2>Use these models</h2>
{"".join(_model(job, index) for index in range(len(job.rows)))}
<h2>About this comparison</h2>
{definition_list(_facts(job))}
"""


def _switch() -> str:
    labels = "".join(
        f'<label><input type="radio" name="protocol" value="{protocol}"{" checked" if protocol == "rgb" else ""}>{escape(text)}</label>'
        for protocol, text in PROTOCOLS.items()
    )
    return f'<fieldset aria-label="Scores">{labels}</fieldset>'


def _scores(job: Comparison, protocol: str) -> str:
    return f'<section class="protocol" data-protocol="{protocol}"><h3>{escape(PROTOCOLS[protocol])}</h3>{table(job, protocol)}</section>'


def _model(job: Comparison, index: int) -> str:
    use = use_of(job.rows[index])
    code = "".join(f'<div class="code"><pre><code>{escape(text)}</code></pre></div>' for text in (use.command, use.python) if text)
    return (
        f'<details><summary>{escape(use.name)}<span class="minor">{escape(use.upscaler)}</span></summary>'
        f'<div class="model"><p class="minor">{escape(use.summary)}</p>{code}{definition_list(use.facts)}</div></details>\n'
    )


def _facts(job: Comparison) -> list[tuple[str, str]]:
    facts = []
    if job.image:
        facts += [("Picture", f"{job.image.name}, {job.image.width}×{job.image.height}"), ("SHA-256 of its file", job.image.sha256)]
    if job.region and job.image:
        part, whole = job.region, f"{job.image.whole_width}×{job.image.whole_height}"
        facts.append(("Region", f"{part.width}×{part.height} at {part.x}, {part.y} of {whole}"))
    if job.lr_sha256:
        facts.append(("SHA-256 of the small one", job.lr_sha256))
    small = "a small version that was given" if job.lr_sha256 else f"shrunk by {job.scale:g} ({job.downscale})"
    way = f"{small}, and restored" if job.mode == "restore" else f"enlarged by {job.scale:g} as it is"
    facts += [("Way", way), ("Started", minute(job.created_at))]
    if job.finished_at:
        facts.append(("Finished", minute(job.finished_at)))
    return [*facts, *((MACHINE.get(head, head), str(value)) for head, value in job.machine.items() if value is not None)]


def _data(element_id: str, value: object) -> str:
    # No text in it can end the element: JSON may write any character as a number.
    text = json.dumps(value).replace("<", "\\u003c")
    return f'<script type="application/json" id="{element_id}">{text}</script>\n'


@functools.cache
def _script() -> str:
    return f"\n{viewer.script()}\n{(HERE / 'report.js').read_text(encoding='utf-8')}"


@functools.cache
def _style() -> str:
    return f"\n{(HERE / 'table.css').read_text(encoding='utf-8')}\n{(HERE / 'report.css').read_text(encoding='utf-8')}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
