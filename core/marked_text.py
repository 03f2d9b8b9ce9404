"""Places in a text that a program fills, between two marks that stay."""

from pathlib import Path


def filled(text: str, begin: str, end: str, content: str) -> str:
    """The text with `content` on lines of its own between the marks, in place of what stood there.

    Raises
    ------
    ValueError
        A mark is missing.
    """
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"Expected {begin} and after it {end}.")
    return f"{before}{begin}\n{content.strip()}\n{end}{after}"


def fill(path: Path, begin: str, end: str, content: str) -> None:
    """The same with a file. Raises `ValueError` and `OSError`."""
    path.write_text(filled(path.read_text(encoding="utf-8"), begin, end, content), encoding="utf-8")
