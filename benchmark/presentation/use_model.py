"""How to get one row's result again outside the page: a command, three lines of Python, and the facts that a decision needs."""

import shlex
from dataclasses import dataclass

import upscalers
from benchmark.labels import label_of
from benchmark.plan import default_precision
from benchmark.presentation.facts import Facts
from benchmark.presentation.format import file_size, number
from benchmark.schema import ProtocolScores, Row
from core.weights import AddedSource
from metrics import MORE
from upscalers.parameters import DEFAULT_SEED, OptionValue
from upscalers.spec import UpscalerSpec


@dataclass(frozen=True)
class Use:
    """What to do with the upscaler of a row. Every text is plain: it may hold names of foreign origin."""

    upscaler: str
    name: str
    summary: str
    command: str | None
    """For a shell; None for an upscaler that is no longer on this machine, and for a result that was added."""
    python: str | None
    """Three lines; None likewise."""
    facts: Facts


def use_of(row: Row) -> Use:
    """The same model, weights, options, seed, runtime and precision as in `row`."""
    label = label_of(row)
    # An added result is no model's, whatever its id may be.
    spec = None if row.given else upscalers.find(row.upscaler)
    if spec is None:
        return Use(row.upscaler, label.name, label.summary, None, None, _measured(row))
    defaults = spec.options({})
    given = {name: value for name, value in row.options.items() if value != defaults.get(name)}
    facts = [
        ("Licence", "unknown: ask whoever made the file" if spec.license == "unknown" else spec.license),
        ("Source", spec.reference or "your own file"),
        *_weights(spec, row),
        *_measured(row),
    ]
    return Use(spec.id, label.name, label.summary, _command(spec, row, given), _python(spec, row, given), facts)


def _command(spec: UpscalerSpec, row: Row, given: dict[str, OptionValue]) -> str:
    words = ["upscale-bench", "upscale", "photo.png", "--upscaler", spec.id, "--scale", f"{row.scale:g}"]
    for name, value in given.items():
        words += ["--option", f"{spec.id}.{name}={value}"]
    if row.seed is not None:
        words += ["--seed", str(row.seed)]
    if row.runtime != spec.runtime("auto", row.scale, row.options):
        words += ["--runtime", row.runtime]
    if spec.group != "Classical" and row.precision != default_precision(spec):
        words += ["--precision", row.precision]
    if row.tile_limit is not None:
        words += ["--tile", str(row.tile_limit)]
    return shlex.join([*words, "-o", "result.png"])


def _python(spec: UpscalerSpec, row: Row, given: dict[str, OptionValue]) -> str:
    keywords = [f"scale={row.scale:g}", *(f"{name}={value!r}" for name, value in given.items())]
    if row.seed not in (None, DEFAULT_SEED):
        keywords.append(f"seed={row.seed}")
    if row.runtime != spec.runtime("auto", row.scale, row.options):
        keywords.append(f"runtime={row.runtime!r}")
    if row.tile_limit is not None:
        keywords.append(f"tile_px={row.tile_limit}")
    return (
        "from PIL import Image\n"
        "from upscalers import upscale\n"
        f'upscale(Image.open("photo.png"), "{spec.id}", {", ".join(keywords)}).save("result.png")'
    )


def _weights(spec: UpscalerSpec, row: Row) -> list[tuple[str, str]]:
    """Each file's size, address and published hash; of models that are folders of many files only the first is written out."""
    files = spec.weights.get(int(row.scale), ())
    lines = []
    for file in files[:3]:
        note = "only for some options" if file.optional else ""
        size = file_size(file.size_bytes) if file.size_bytes else ""
        lines.append(("Weights", ", ".join(filter(None, (file.name, size, note)))))
        if not isinstance(file.source, AddedSource):
            lines += [("Address", file.source.origin), ("Published SHA-256", file.sha256 or "none is published")]
    if len(files) > 3:
        lines.append(("Weights", f"and {len(files) - 3} more files; `upscale-bench models show {spec.id}` lists them"))
    return lines


def _more_scores(scores: dict[str, ProtocolScores]) -> list[tuple[str, str]]:
    """The metrics that were asked for, under each protocol that they belong to; or why there are none."""
    lines = []
    for metric in MORE:
        values = [(protocol, under) for protocol, under in scores.items() if metric.id in under.more]
        if values:
            texts = [under.reasons.get(metric.id) or f"{number(under.more[metric.id], 4)} {protocol}" for protocol, under in values]
            known = all(under.more[metric.id] is not None for _, under in values)
            lines.append((metric.name, ", ".join(dict.fromkeys(texts)) + (f" ({metric.direction} is better)" if known else "")))
    return lines


def _measured(row: Row) -> list[tuple[str, str]]:
    """What the row itself says about how its result came about."""
    lines = []
    if row.given:
        lines.append(("SHA-256 of its file", row.given.sha256))
    if row.weights_sha256:
        unverified = "" if row.verified_weights is not False else " (unverified: it is not the published one)"
        lines.append(("SHA-256 used", row.weights_sha256.replace("+", " + ") + unverified))
    if row.options:
        lines.append(("Options", ", ".join(f"{name} = {value}" for name, value in row.options.items())))
    if row.seed is not None:
        lines.append(("Seed", str(row.seed)))
    if row.device:
        version = f" ({row.runtime_version})" if row.runtime_version else ""
        threads = f"{row.threads} thread{'s' if row.threads != 1 else ''}"
        tiles = f", tiles of {row.tile} px" if row.tile else ""
        lines.append(("Ran on", f"{row.runtime}{version}, {row.precision}, {row.device}, {threads}{tiles}"))
    if row.scores:
        lines.append(("Fingerprints", ", ".join(f"{protocol} {scores.fingerprint}" for protocol, scores in row.scores.items())))
        lines += _more_scores(row.scores)
    return lines
