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
LABEL_PX = 44
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


def result_name(job: Comparison, row: Row) -> str:
    """File name of a result outside the store: `opencv-espcn_x4_bird.png`."""
    return f"{row.upscaler}_x{row.scale:g}_{_stem(job)}.png"


def folder(job: Comparison, out: Path) -> Path:
    """Where below `out` what belongs to a comparison is written."""
    return out / f"x{job.scale:g}"


def write_pictures(directory: Path, job: Comparison, out: Path) -> dict[str, Path]:
    """Write each result and the strip to `out/x{scale}/`; returns the path of each upscaler's result."""
    place = folder(job, out)
    place.mkdir(parents=True, exist_ok=True)
    written = {}
    for row in job.rows:
        if row.output_path:
            written[row.upscaler] = place / result_name(job, row)
            written[row.upscaler].write_bytes((directory / row.output_path).read_bytes())
    if written:
        strip(directory, job).save(place / f"strip_x{job.scale:g}_{_stem(job)}.png")
    return written


def archive(directory: Path, job: Comparison) -> bytes:
    """A ZIP with all pictures, the strip, `comparison.csv` and `comparison.json`."""
    buffer = io.BytesIO()
    # PNG is compressed already.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, path in (("original", job.original_path), ("downscaled", job.downscaled_path)):
            if path:
                file.write(directory / path, f"{name}_{_stem(job)}.png")
        for row in job.rows:
            if row.output_path:
                file.write(directory / row.output_path, result_name(job, row))
        if job.original_path:
            picture = io.BytesIO()
            strip(directory, job).save(picture, "PNG")
            file.writestr(f"strip_x{job.scale:g}_{_stem(job)}.png", picture.getvalue())
        file.writestr("comparison.csv", table_csv(job), zipfile.ZIP_DEFLATED)
        exported = document(job)
        for row in exported["rows"]:
            if row["output_path"]:
                row["output_path"] = f"{row['upscaler']}_x{row['scale']:g}_{_stem(job)}.png"
        file.writestr("comparison.json", json.dumps(exported, indent=2), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def strip(directory: Path, job: Comparison) -> Image.Image:
    """The same crop, from the middle, of the original, the downscaled picture and each result, side by side with names and scores."""
    tiles: list[tuple[str, Image.Image]] = []
    scale = job.scale if job.mode == "as-is" else 1
    if job.original_path:
        tiles.append(("Original", _crop(directory / job.original_path, scale)))
    if job.downscaled_path:
        tiles.append(("Downscaled", _crop(directory / job.downscaled_path, job.scale)))
    for row in job.rows:
        if row.output_path:
            psnr_db = row.scores["rgb"].psnr_db if row.scores else None
            name = label_of(row).name
            tiles.append((f"{name}\n{psnr_db:.2f} dB" if psnr_db is not None else name, _crop(directory / row.output_path, 1)))
    height = max((tile.height for _, tile in tiles), default=0)
    width = sum(max(tile.width, 96) + GAP_PX for _, tile in tiles) + GAP_PX
    sheet = Image.new("RGB", (width, height + LABEL_PX + 2 * GAP_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    left = GAP_PX
    for label, tile in tiles:
        draw.multiline_text((left, GAP_PX), label, fill="black", font=font)
        sheet.paste(tile, (left, LABEL_PX + GAP_PX))
        left += max(tile.width, 96) + GAP_PX
    return sheet


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
