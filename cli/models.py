"""`models`: everything about one upscaler, its files on this machine, and model files of one's own."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

import upscalers
from benchmark import estimates, model_files
from cli.catalogue import upscaler_entry
from cli.output import AsJson, print_json
from core import weights as weight_files
from core.errors import UsageError
from upscalers import custom
from upscalers.spec import SCORED_SCALES, Aim, UpscalerSpec


def add_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth, .pt, .ckpt, .safetensors or .onnx file.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Name for people; the id is made from it.", show_default="that of the file")] = None,
    aim: Annotated[str, typer.Option(help="faithful or vivid: among which upscalers its scores are compared.")] = "faithful",
    as_json: AsJson = False,
) -> None:
    """Check a model file of your own and make it an upscaler like the others. No code in it is run."""
    spec = custom.add(file, name=name, aim=cast("Aim", aim))
    scale = spec.scales[0]
    following = (
        f"upscale-bench compare IMAGE --scale {scale} --upscalers bicubic,{spec.id}"
        if scale in SCORED_SCALES
        else f"upscale-bench upscale IMAGE --scale {scale} --upscaler {spec.id} -o RESULT.png"
    )
    facts = custom.facts_of(spec)
    if as_json:
        print_json({"schema": 1, **_entry(spec), "facts": asdict(facts) if facts else None, "next": following})
        return
    typer.echo(f"{spec.id}: {facts.architecture if facts else ''} x{scale}, {spec.parameter_count[scale]:,} parameters, {spec.aim}")
    typer.echo(spec.summary)
    typer.echo(following)


def show_model(
    upscaler_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the upscaler.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show everything about one upscaler: source, licence, options, weights, and its speed on this machine."""
    entry = _entry(upscalers.get(upscaler_id))
    if as_json:
        print_json({"schema": 1, **entry})
        return
    typer.echo(f"{entry['name']} ({entry['id']}): {entry['summary']}")
    lines = {
        "kind": f"{entry['group']}, {entry['aim']}",
        "scales": " ".join(f"x{scale}" for scale in entry["scales"]) + (" and any other" if entry["fractional"] else ""),
        "runtimes": " ".join(entry["runtimes"]),
        "parameters": ", ".join(f"x{scale} {count:,}" for scale, count in entry["parameter_count"].items()) or "-",
        "licence": entry["license"],
        "source": entry["reference"] or "-",
        "trained for": entry["trained_for"] or "-",
        "status": ", ".join(f"x{scale} {status}" for scale, status in entry["status_by_scale"].items()),
    }
    for head, text in lines.items():
        typer.echo(f"  {head:<12}{text}")
    for option in entry["options"]:
        allowed = f"{option['minimum']:g} to {option['maximum']:g}" if option["minimum"] is not None else "text"
        typer.echo(f"  option      {option['name']} ({allowed}, default {option['default']!r}): {option['help']}")
    for file in entry["weights"]:
        typer.echo(
            f"  weights     x{file['scale']} {file['file']}: {file['status']}, sha256 {file['sha256'] or 'unknown'}, {file['source']}"
        )
    for speed in entry["speeds"]:
        rate = f"{speed['output_mp_per_s']:.2f} output MP/s"
        typer.echo(f"  speed       x{speed['scale']} {rate} on {speed['runtime']}, measured here")
    if entry["reason"]:
        typer.echo(f"  {entry['reason']}")


def _entry(spec: UpscalerSpec) -> dict[str, Any]:
    return {
        **upscaler_entry(spec),
        "summary": spec.summary,
        "reference": spec.reference,
        "trained_for": spec.trained_for,
        "stochastic": spec.stochastic,
        "parameter_count": {str(scale): count for scale, count in spec.parameter_count.items()},
        "options": [
            {key: getattr(parameter, key) for key in ("name", "default", "minimum", "maximum", "help")} for parameter in spec.parameters
        ],
        "weights": [weights_entry(spec, scale, file) for scale, files in spec.weights.items() for file in files],
        "speeds": [
            {"scale": scale, "runtime": runtime, "output_mp_per_s": scale**2 / per_mp}
            for (scale, runtime), per_mp in estimates.measured_s_per_mp(spec).items()
        ],
    }


def weights_entry(spec: UpscalerSpec, scale: int, file: weight_files.WeightFile) -> dict[str, Any]:
    """One weight file as documents describe it."""
    return {"upscaler": spec.id, "scale": scale, **file_entry(file)}


def file_entry(file: weight_files.WeightFile) -> dict[str, Any]:
    """The same without whose it is."""
    status = weight_files.status(file)
    located = status.located
    return {
        "file": file.name,
        "status": status.state,
        "size_bytes": file.size_bytes,
        "sha256": located.sha256 if located else file.sha256,
        "path": str(located.path) if located else None,
        "source": file.source.origin,
    }


def remove_model(
    upscaler_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the upscaler.", show_default=False)],
) -> None:
    """Delete a model that you added, or the downloaded weights of an upscaler; what lies in your own directories stays."""
    if custom.is_added(upscaler_id) and upscalers.find(upscaler_id) is None:
        # Its record is damaged, so the registry left it out.
        custom.remove(upscaler_id)
        typer.echo(f"{upscaler_id}: deleted")
        return
    spec = upscalers.get(upscaler_id)
    if not model_files.removable(spec):
        raise UsageError(f"{spec.id} has no files that this program stored: there is nothing to delete.")
    model_files.remove(spec)
    typer.echo(f"{spec.id}: deleted")
