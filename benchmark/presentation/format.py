"""Numbers and dates as people read them."""

import datetime

# Not strftime's, which follow the machine's language.
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def seconds(value: float | None) -> str:
    """`0.4 ms`, `12 ms`, `3.2 s`, `4 min`; a dash for None."""
    if value is None:
        return "–"
    if value < 0.0095:
        return f"{value * 1000:.1f} ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 99.5:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def number(value: float | None, digits: int) -> str:
    """Fixed digits; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def mebibytes(value: float | None) -> str:
    """`212 MiB`, `1.4 GiB`; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.0f} MiB" if value < 1000 else f"{value / 1024:.1f} GiB"


def file_size(size_bytes: int) -> str:
    """`22 kB`, `8.1 MB`, `3.5 GB`."""
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.0f} kB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e9 else f"{size_bytes / 1e9:.1f} GB"


def day(moment: str) -> str:
    """The date of an ISO 8601 time: `21 November 2026`."""
    at = datetime.datetime.fromisoformat(moment)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def minute(moment: str) -> str:
    """The same with the time in UTC: `21 November 2026, 16:05 UTC`."""
    at = datetime.datetime.fromisoformat(moment).astimezone(datetime.UTC)
    return f"{day(at.isoformat())}, {at:%H:%M} UTC"


def plain(text: str) -> str:
    """A text of foreign origin, such as a file's name, without Markdown meaning."""
    return "".join(f"\\{character}" if character in r"\`*_{}[]()#+-.!|~:$<>" else character for character in text)
