"""Dataset runs as HTML for the page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import upscalers
from benchmark.presentation.format import minute, seconds
from benchmark.runs.overview import RunView, State
from benchmark.runs.plan import AUTO, GIVEN
from benchmark.storage.overview import FailedCell, Share
from benchmark.storage.records import Execution
from metrics import MORE

STATES: dict[State, str] = {
    "waiting": "Waiting for its turn",
    "checking": "Starting",
    "running": "Running",
    "stopping": "Stopping",
    "elsewhere": "Running in another process",
    "planned": "Not begun",
    "stopped": "Stopped",
    "interrupted": "Interrupted",
    "paused": "Paused",
    "failed": "Broken off",
    "done": "Done",
}


def progress_line(view: RunView) -> str:
    """How far a run is: `29 of 56, 2 of them failed, 3.1 per second, 4 min left`, or `29 of 56 saved` where nobody works on it."""
    counts = view.counts
    words = [f"{counts.done + counts.failed} of {counts.total}" + ("" if view.active or view.state == "done" else " saved")]
    words += [f"{counts.failed} of them failed"] if counts.failed else []
    words += [f"{view.per_s:.2g} per second"] if view.per_s else []
    under_way = view.state in ("running", "elsewhere")
    # Before it goes, less than a second mostly means that little is known.
    if counts.waiting and view.left_s is not None and (under_way or view.left_s >= 1):
        words.append(f"{seconds(view.left_s)} left" if under_way else f"about {seconds(view.left_s)} to go")
    return ", ".join(words)


def asked_line(request: Mapping[str, Any], execution: Execution | None = None) -> str:
    """What was asked for, and how it is computed: `Set5, Set14 · x2, x4 · 12 upscalers · shrunk by area · bf16 · 4 workers`."""
    chosen = request["upscalers"]
    names = [_name(each) for each in chosen] if len(chosen) <= 3 else [f"{len(chosen)} upscalers"]
    words = [
        ", ".join(each["name"] for each in request["datasets"]),
        ", ".join(f"x{scale}" for scale in request["scales"]),
        ", ".join(names),
    ]
    if request["lr"] != AUTO:
        words.append("small pictures given" if request["lr"] == GIVEN else f"shrunk by {request['lr']}")
    return " · ".join([*words, *unusual_words(request, execution)])


def unusual_words(request: Mapping[str, Any], execution: Execution | None = None) -> list[str]:
    """What of a run is not as it is where nobody chooses, beside sets, scales, upscalers and small pictures."""
    words = []
    if list(request["runtimes"]) != ["auto"]:
        words.append(f"on {', '.join(request['runtimes'])}")
    if request["precision"]:
        words.append(request["precision"])
    if request.get("tile_px"):
        words.append(f"tiles of {request['tile_px']} px")
    words += [f"{_name(each)} {name} {value}" for each, values in request["options"].items() for name, value in values.items()]
    if request["seed"] is not None:
        words.append(f"seed {request['seed']}")
    if request.get("metrics"):
        words.append(f"also {', '.join(MORE.get(name).short_name for name in request['metrics'] if name in MORE)}")
    if request["repeats"]:
        words.append(f"{request['repeats']} repeat{'s' if request['repeats'] > 1 else ''}")
    if execution is not None:
        words += ["on a Ray cluster"] if execution.engine == "ray" else []
        words += [f"{execution.workers} workers"] if execution.workers > 1 else []
    return words


def run_card(view: RunView) -> str:
    """Name, state, bar and numbers of a run."""
    run, counts = view.run, view.counts
    finished = counts.done + counts.failed
    shares = "".join(
        f'<i class="ub-{kind}" style="width:{100 * count / max(1, counts.total):.2f}%"></i>'
        for kind, count in (("ok", counts.done), ("bad", counts.failed))
    )
    bar = (
        f'<div class="ub-bar" role="progressbar" aria-label="{escape(run.name)}" aria-valuemin="0" aria-valuemax="{counts.total}" '
        f'aria-valuenow="{finished}">{shares}</div>'
    )
    begun = "planned" if view.state in ("planned", "waiting") else "started"
    reason = f'<p class="ub-minor">{escape(view.reason)}</p>' if view.reason else ""
    return (
        f'<div class="ub-card ub-run"><h2>{escape(run.name)}<span class="ub-badge">{STATES[view.state]}</span></h2>'
        f'<p class="ub-minor">{escape(asked_line(run.request, run.execution))} · {begun} {minute(run.created_at)}</p>'
        f"{bar}<p>{escape(progress_line(view))}</p>{reason}</div>"
    )


def shares_table(shares: Sequence[Share]) -> str:
    """How far each upscaler is."""
    rows = "".join(
        f'<tr><th scope="row">{escape(_name(each.upscaler))}</th><td data-head="Done">{each.done}</td>'
        f'<td data-head="Failed">{each.failed}</td><td data-head="Of">{each.total}</td></tr>'
        for each in shares
    )
    return _table(("Upscaler", "Done", "Failed", "Of"), rows)


def failures_table(failures: Sequence[FailedCell]) -> str:
    """Failed cells with their reasons."""
    rows = "".join(
        f'<tr><th scope="row">{escape(each.dataset)}/{escape(each.picture)}</th>'
        f'<td data-head="Upscaler">{escape(_name(each.upscaler))} x{each.scale:g}</td>'
        f'<td class="ub-reason" data-head="{escape(each.status)}">{escape(each.reason)}</td></tr>'
        for each in failures
    )
    return _table(("Picture", "Upscaler", "Reason"), rows)


def _table(heads: Sequence[str], rows: str) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return f'<table class="ub-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _name(upscaler_id: str) -> str:
    spec = upscalers.find(upscaler_id)
    return spec.name if spec else upscaler_id
