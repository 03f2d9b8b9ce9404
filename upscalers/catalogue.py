"""The README's table of upscalers, made from the registry: `python -m upscalers.catalogue README.md` writes it into the file."""

import sys
from pathlib import Path

import upscalers
from core.marked_text import fill, filled
from upscalers.spec import total_size

BEGIN, END = "<!-- upscalers: begin -->", "<!-- upscalers: end -->"


def markdown_table() -> str:
    """A Markdown table with a line per upscaler; without the models that somebody added on this machine."""
    lines = ["| id | name | kind | aim | scales | runtimes | licence | weights | source |", "|---|---|---|---|---|---|---|---|---|"]
    for spec in upscalers.registry():
        if spec.group == "Custom":
            continue
        scales = ", ".join(f"x{scale}" for scale in spec.scales) + (", any" if spec.fractional else "")
        files = [file for scale in spec.scales for file in spec.required_weights(scale)]
        known = [file.size_bytes for file in files if file.size_bytes]
        some = total_size(files) or "size unknown"
        weights = "none" if not files else f"{sum(known) / 1e6:.1f} MB" if len(known) == len(files) else some
        cells = (
            f"`{spec.id}`",
            spec.name,
            spec.group,
            spec.aim,
            scales,
            ", ".join(spec.runtimes),
            spec.license,
            weights,
            f"[link]({spec.reference})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The text with the table between its markers replaced."""
    return filled(text, BEGIN, END, markdown_table())


if __name__ == "__main__":
    fill(Path(sys.argv[1]), BEGIN, END, markdown_table())
