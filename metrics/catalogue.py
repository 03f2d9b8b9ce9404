"""The README's table of metrics, made from the registry: `python -m metrics.catalogue README.md` writes it into the file."""

import math
import sys
from pathlib import Path

from core.marked_text import fill, filled
from metrics.registry import METRICS

BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"


def markdown_table() -> str:
    """A Markdown table with a line per metric."""
    lines = [
        "| in results | name | unit | range | better | protocols | colours | smallest side | asked for by | source |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for metric in METRICS:
        low, high = metric.value_range
        cells = (
            f"`{metric.id}`",
            metric.name,
            metric.unit or "none",
            f"{low:g} to {high:g}" if math.isfinite(high) else f"from {low:g}",
            metric.direction,
            ", ".join(f"`{protocol}`" for protocol in metric.protocols) or "without an original",
            metric.colour,
            f"{metric.min_side} px",
            f"`{metric.option}`" if metric.opt_in else "always there",
            f"[link]({metric.reference})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The text with the table between its markers replaced."""
    return filled(text, BEGIN, END, markdown_table())


if __name__ == "__main__":
    fill(Path(sys.argv[1]), BEGIN, END, markdown_table())
