"""A comparison in the forms that leave the program: JSON, CSV, picture files, a labelled strip, a ZIP."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from benchmark.labels import label_of
from benchmark.schema import Comparison, Row

PROGRESS_FIELDS = {"stage", "tiles_done", "tiles_total", "progress_unit", "expected_s", "started_at"}
"""What is of interest only while a comparison runs."""
TILE_PX = 384
FONT_PX = 15
NAME_LINES = 2
"""A longer name is cut, so that it never stands over its neighbour's tile."""
MIN_TILE_PX = 96
GAP_PX = 8


def document(job: Comparison) -> dict[str, Any]:
    """The JSON document of `compare`."""
    image = job.image.model_dump(exclude={"name", "has_alpha"}) if job.image else None
    rows = [row.model_dump(exclude=PROGRESS_FIELDS) for row in job.rows]
    # How a small picture was made that somebody gave is not known.
    downscale = None if job.lr_sha256 else job.downscale
    return {
        "schema": 1,
        "image": image,
        "region": job.region.model_dump() if job.region else None,
        "mode": job.mode,
        "scale": job.scale,
        "downscale": downscale,
        "lr_sha256": job.lr_sha256,
        "metrics": job.metrics,
        "machine": job.machine,
        "rows": rows,
    }


def table_csv(job: Comparison) -> str:
    """A line per upscaler, with the scores of all protocols as columns."""
    lines = []
    for row in job.rows:
        line = row.model_dump(exclude=PROGRESS_FIELDS | {"scores", "options", "given"})
        line["given_sha256"] = row.given.sha256 if row.given else None
        line["options"] = json.dumps(row.options) if row.options else ""
        for protocol, scores in (row.scores or {}).items():
            line |= {f"{protocol}_{name}": value for name, value in scores.model_dump(exclude={"reason", "reasons"}).items()}
        lines.append(line)
    columns = list(dict.fromkeys(name for line in lines for name in line))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def folder(job: Comparison, out: Path) -> Path:
    """Where below `out` what belongs to a comparison is written."""
    return out / f"x{job.scale:g}"


def report_path(job: Comparison, out: Path) -> Path:
    """Where below `out` the report of a comparison is written: `x4/report_x4_bird.html`."""
    return folder(job, out) / f"report_{_ending(job, out)}.html"


def write(directory: Path, job: Comparison, out: Path) -> dict[str, Path]:
    """Write each result, the strip and the document to `out/x{scale}/`; returns the path of each upscaler's result.

    A later comparison of the same picture at the same scale takes the place of an earlier one. Another picture of the same name does
    not: the start of its SHA-256 comes to its name.
    """
    place, ending = folder(job, out), _ending(job, out)
    place.mkdir(parents=True, exist_ok=True)
    written = {}
    for row in job.rows:
        if row.output_path:
            written[row.upscaler] = place / _result_name(row, ending)
            written[row.upscaler].write_bytes((directory / row.output_path).read_bytes())
    if written:
        strip(directory, job).save(place / f"strip_{ending}.png")
    (place / f"comparison_{ending}.json").write_text(_exported(job, ending), encoding="utf-8")
    return written


def _ending(job: Comparison, out: Path) -> str:
    """How the names of all files of a comparison below `out` end: `x4_bird`."""
    ending = _plain_ending(job)
    try:
        earlier = json.loads((folder(job, out) / f"comparison_{ending}.json").read_bytes())["image"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or nothing that says which picture it was
        return ending
    return ending if job.image is None or earlier == job.image.sha256 else f"{ending}-{job.image.sha256[:8]}"


def _plain_ending(job: Comparison) -> str:
    return f"x{job.scale:g}_{_stem(job)}"


def _result_name(row: Row, ending: str) -> str:
    """File name of a result outside the store: `opencv-espcn_x4_bird.png`."""
    return f"{row.upscaler}_{ending}.png"


def _exported(job: Comparison, ending: str) -> str:
    """The document as a file that lies beside the results and names them."""
    exported = document(job)
    for line, row in zip(exported["rows"], job.rows, strict=True):
        if row.output_path:
            line["output_path"] = _result_name(row, ending)
    return json.dumps(exported, indent=2)


def archive(directory: Path, job: Comparison) -> bytes:
    """A ZIP with all pictures, the strip, `comparison.csv` and `comparison.json`."""
    buffer, ending = io.BytesIO(), _plain_ending(job)
    # PNG is compressed already.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, path in (("original", job.original_path), ("downscaled", job.downscaled_path)):
            if path:
                file.write(directory / path, f"{name}_{_stem(job)}.png")
        for row in job.rows:
            if row.output_path:
                file.write(directory / row.output_path, _result_name(row, ending))
        if job.original_path:
            picture = io.BytesIO()
            strip(directory, job).save(picture, "PNG")
            file.writestr(f"strip_{ending}.png", picture.getvalue())
        file.writestr("comparison.csv", table_csv(job), zipfile.ZIP_DEFLATED)
        file.writestr("comparison.json", _exported(job, ending), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def strip(directory: Path, job: Comparison) -> Image.Image:
    """The same crop, from the middle, of the original, the downscaled picture and each result, side by side with names and scores."""
    tiles: list[tuple[str, str, Image.Image]] = []
    scale = job.scale if job.mode == "as-is" else 1
    if job.original_path:
        tiles.append(("Original", "", _crop(directory / job.original_path, scale)))
    if job.downscaled_path:
        tiles.append(("Downscaled", "", _crop(directory / job.downscaled_path, job.scale)))
    for row in job.rows:
        if row.output_path:
            psnr_db = row.scores["rgb"].psnr_db if row.scores else None
            score = "" if psnr_db is None else f"{psnr_db:.2f} dB"
            tiles.append((label_of(row).name, score, _crop(directory / row.output_path, 1)))
    font = ImageFont.load_default(FONT_PX)
    widths = [max(tile.width, MIN_TILE_PX) for *_, tile in tiles]
    labels = ["\n".join(filter(None, (*_lines(name, width, font), score))) for (name, score, _), width in zip(tiles, widths, strict=True)]
    line_px = FONT_PX + 4
    label_px = GAP_PX // 2 + line_px * max((label.count("\n") + 1 for label in labels), default=0)
    height = max((tile.height for *_, tile in tiles), default=0)
    sheet = Image.new("RGB", (sum(widths) + GAP_PX * (len(widths) + 1), label_px + height + 2 * GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    left = GAP_PX
    for label, (*_, tile), width in zip(labels, tiles, widths, strict=True):
        draw.multiline_text((left, GAP_PX), label, fill="black", font=font)
        sheet.paste(tile, (left, label_px + GAP_PX))
        left += width + GAP_PX
    return sheet


def _lines(name: str, width_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """A name in at most `NAME_LINES` lines of this width: broken between words where that is possible, cut where it is too long."""
    lines: list[str] = []
    rest = " ".join(name.split())
    while rest and len(lines) < NAME_LINES:
        if font.getlength(rest) <= width_px:
            return [*lines, rest]
        last = len(lines) == NAME_LINES - 1
        mark = "…" if last else ""
        end = next((end for end in range(len(rest) - 1, 1, -1) if font.getlength(rest[:end] + mark) <= width_px), 1)
        space = rest.rfind(" ", 0, end + 1)
        if space > 0 and not last:
            end = space
        lines.append(rest[:end].rstrip() + mark)
        rest = rest[end:].lstrip()
    return lines


def _crop(path: Path, enlarge: float) -> Image.Image:
    """The middle of a picture, repeated pixel by pixel where it is smaller than the others."""
    with Image.open(path) as picture:
        side = max(1, round(TILE_PX / enlarge))
        width, height = min(side, picture.width), min(side, picture.height)
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        crop = picture.crop((left, top, left + width, top + height))
        if crop.mode == "RGBA":
            crop = Image.alpha_composite(Image.new("RGBA", crop.size, "white"), crop)
        return crop.convert("RGB").resize((round(width * enlarge), round(height * enlarge)), Image.Resampling.NEAREST)


def _stem(job: Comparison) -> str:
    return job.image.name if job.image else "picture"
