"""`upscale-bench tile-audit`: what cutting into tiles does to a model's pixels."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import upscalers
from benchmark.plan import Plan
from benchmark.tile_audit import TileAudit, audit
from cli.comparing import finished
from cli.options import ImageFile
from core.errors import AppError, UsageError
from core.image import RGB8, check_output_size, decode, decode_file, read_file
from core.settings import settings


def tile_audit(
    image: ImageFile,
    upscaler: Annotated[str, typer.Option(help="Id of the upscaler.", show_default=False)],
    scale: Annotated[int, typer.Option(help="Enlargement.")] = 4,
    tile: Annotated[
        int | None, typer.Option(help="Tiles have no more pixels than a square of this side.", show_default="the upscaler's own")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Enlarge a picture in tiles and whole, and show how far the two are apart, and where."""
    spec = upscalers.get(upscaler)
    upscalers.create(upscaler, scale)
    own = spec.cut(scale)
    if own is None or own.strict:
        raise UsageError(f"{upscaler} {'takes one size only' if own else 'is always run whole'} at x{scale}: there is nothing to compare.")
    source = read_file(image)
    picture = decode(source, name=image.name)
    check_output_size(picture.width, picture.height, scale)
    cutting = upscalers.create(upscaler, scale, tile_px=tile)
    tiling, tiles = cutting.tiling() or own, cutting.tiles(picture.height, picture.width)
    if len(tiles) == 1:
        size = f"{picture.width}x{picture.height}"
        raise UsageError(f"{image.name} ({size}) fits into one tile of {tiling.tile_px}: choose a smaller --tile.")
    plan = Plan(scale=scale, upscaler_ids=[upscaler], mode="as-is", tile_px=tiling.tile_px, repeats=0)
    whole = _enlarged(replace(plan, tile_px=settings().max_input_side), source, image)
    found = audit(_enlarged(plan, source, image), whole, tiling, tiles, scale)
    if as_json:
        facts = {"upscaler": upscaler, "scale": scale, "whole_picture": spec.whole_picture, "image": image.name}
        typer.echo(json.dumps({"schema": 1, **facts, **found.document()}))
    else:
        typer.echo("\n".join(_lines(found, spec.name)))


def _enlarged(plan: Plan, source: bytes, image: Path) -> RGB8:
    with finished(plan, source, image.name) as (directory, job):
        row = job.rows[0]
        if row.output_path is None:
            raise AppError(f"{'In tiles' if row.tile else 'Whole'}: {row.reason}")
        return decode_file(directory / row.output_path).rgb


def _lines(found: TileAudit, name: str) -> list[str]:
    column, row = found.largest_at
    verdict = "the same picture up to rounding" if found.same else f"tiles change what {name} gives"
    return [
        f"{found.tiles} tiles of {found.tile_px} pixels, {found.overlap_px} of overlap: {verdict}",
        f"  largest difference {found.largest_levels} levels, at {column}, {row} of the result",
        f"  mean {found.mean_levels:.4f} levels; near seams {found.mean_near_seams:.4f}, elsewhere {found.mean_elsewhere:.4f}",
        f"  {found.share_above_1:.2%} of the samples differ by more than 1 level",
    ]
