"""Choosing the region of a picture that is compared: a small copy of it with a box that can be moved."""

from pathlib import Path

from streamlit.components.v2 import component

from benchmark.schema import Region

_HERE = Path(__file__).parent
_mount = component(
    "upscale_bench_region",
    html=(_HERE / "region.html").read_text(encoding="utf-8"),
    css=(_HERE / "region.css").read_text(encoding="utf-8"),
    js=(_HERE / "region.js").read_text(encoding="utf-8"),
)


def region_picker(image_url: str, size: tuple[int, int], region: Region, *, key: str) -> tuple[float, float] | None:
    """Show the box; returns its middle once the person has moved it.

    Parameters
    ----------
    image_url:
        A small copy of the picture, as a `data:` address.
    size:
        Width and height of the picture itself, in pixels.
    region:
        Where the box stands.
    key:
        Fixed name of this picker; another picture needs another one.

    Returns
    -------
    The middle as a share of width and height, 0 to 1 each; None while nobody has moved it.
    """
    width, height = size
    result = _mount(
        key=key,
        data={
            "image": image_url,
            "size": [width, height],
            "region": [region.width, region.height],
            "center": [(region.x + region.width / 2) / width, (region.y + region.height / 2) / height],
        },
        on_center_change=_rerun_only,
    )
    center = result.get("center")
    if not isinstance(center, list) or len(center) != 2 or not all(isinstance(each, int | float) and 0 <= each <= 1 for each in center):
        return None
    return float(center[0]), float(center[1])


def _rerun_only() -> None:
    """A moved box needs no callback: the rerun that it causes reads it."""
