"""`upscalers`: what there is, and whether it can run here."""

from typing import Any

import typer
from rich.table import Table

import upscalers
from cli.output import AsJson, print_json, print_table


def list_upscalers(as_json: AsJson = False) -> None:
    """List every upscaler: scales, runtimes, and whether it can run here."""
    entries = [upscaler_entry(spec) for spec in upscalers.registry()]
    if as_json:
        print_json({"schema": 1, "upscalers": entries})
        return
    table = Table("id", "kind", "scales", "runtimes", "status", box=None, header_style="bold")
    for entry in entries:
        scales = " ".join(f"x{scale}" for scale in entry["scales"]) + (" and any other" if entry["fractional"] else "")
        table.add_row(entry["id"], entry["group"], scales, " ".join(entry["runtimes"]), entry["status"])
    print_table(table)
    for entry in entries:
        if entry["reason"]:
            typer.echo(f"{entry['id']}: {entry['reason']}")


def upscaler_entry(spec: upscalers.UpscalerSpec) -> dict[str, Any]:
    """One upscaler as documents list it."""
    by_scale = {scale: spec.status(scale) for scale in spec.scales}
    best = next((status for status in by_scale.values() if status.kind == "ready"), next(iter(by_scale.values())))
    return {
        "id": spec.id,
        "name": spec.name,
        "group": spec.group,
        "aim": spec.aim,
        "scales": list(spec.scales),
        "fractional": spec.fractional,
        "runtimes": list(spec.runtimes),
        "license": spec.license,
        "status": best.kind,
        "status_by_scale": {str(scale): status.kind for scale, status in by_scale.items()},
        "reason": spec.unavailable_reason(),
    }
