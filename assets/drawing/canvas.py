"""A canvas that is drawn several times as large and averaged down, which gives even edges at every angle."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

Point = tuple[float, float]
Colour = str


def font(size_px: float) -> ImageFont.FreeTypeFont:
    """Aileron, the typeface in Pillow."""
    loaded = ImageFont.load_default(size_px)
    assert isinstance(loaded, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return loaded


class Canvas:
    """Coordinates and widths are pixels of the finished picture; fractions are meant.

    Parameters
    ----------
    width, height:
        Of the finished picture, in pixels.
    background:
        Any colour that Pillow knows.
    fineness:
        How many drawn pixels are averaged along each side of a finished one.
    """

    def __init__(self, width: int, height: int, background: Colour, fineness: int = 4) -> None:
        self.width, self.height, self._fine = width, height, fineness
        self._image = Image.new("RGB", (width * fineness, height * fineness), background)
        self._draw = ImageDraw.Draw(self._image)

    def finished(self) -> Image.Image:
        """The picture, averaged down."""
        return self._image.reduce(self._fine)

    def polygon(self, points: Sequence[Point], fill: Colour, outline: Colour | None = None, width: float = 2.0) -> None:
        """A filled polygon, with an outline if one is named."""
        self._draw.polygon(self._fined(points), fill)
        if outline is not None:
            self.line([*points, points[0], points[1]], outline, width)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line through points, with round joints."""
        self._draw.line(self._fined(points), colour, max(1, round(width * self._fine)), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """A filled rectangle; right and bottom are not part of it."""
        fine = self._fine
        self._draw.rectangle((round(left * fine), round(top * fine), round(right * fine) - 1, round(bottom * fine) - 1), fill)

    def disc(self, x: float, y: float, radius: float, fill: Colour | None, outline: Colour | None = None, width: float = 2.0) -> None:
        """A disc, a ring, or both."""
        edges = ((x - radius, y - radius), (x + radius, y + radius))
        self._draw.ellipse([*self._fined(edges)], fill, outline, max(1, round(width * self._fine)))

    def fade(self, points: Sequence[Point], upper: Colour, lower: Colour) -> None:
        """Fill a polygon with a gradient from its highest to its lowest point."""
        tops = [y for _, y in points]
        top, bottom = round(min(tops) * self._fine), round(max(tops) * self._fine)
        steps = np.linspace(0, 1, max(1, bottom - top))[:, None]
        first, last = (np.array(Image.new("RGB", (1, 1), colour).getpixel((0, 0))) for colour in (upper, lower))
        column = np.rint(first + (last - first) * steps).astype(np.uint8)
        band = Image.fromarray(np.ascontiguousarray(np.broadcast_to(column[:, None], (len(column), self._image.width, 3))))
        self._image.paste(band, (0, top), self._mask(points).crop((0, top, self._image.width, top + len(column))))

    def hatch(self, points: Sequence[Point], colour: Colour, *, angle_deg: float, gap: float, width: float) -> None:
        """Parallel lines inside a polygon."""
        lines = Image.new("L", self._image.size, 0)
        pen = ImageDraw.Draw(lines)
        angle = np.radians(angle_deg)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        places = np.array(points) @ across
        middle = np.mean(np.array(points), axis=0) @ along
        reach = np.hypot(self.width, self.height)
        for place in np.arange(np.ceil(places.min() / gap) * gap, places.max(), gap):
            ends = [tuple((across * place + along * (middle + side * reach)) * self._fine) for side in (-1, 1)]
            pen.line(ends, 255, max(1, round(width * self._fine)))
        self._image.paste(colour, (0, 0), ImageChops.multiply(lines, self._mask(points)))

    def put(self, left: int, top: int, levels: np.ndarray) -> None:
        """Place a finished grey pattern, uint8 of shape (height, width), pixel for pixel."""
        block = Image.fromarray(levels).convert("RGB")
        self._image.paste(
            block.resize((block.width * self._fine, block.height * self._fine), Image.Resampling.NEAREST),
            (left * self._fine, top * self._fine),
        )

    def _mask(self, points: Sequence[Point]) -> Image.Image:
        mask = Image.new("L", self._image.size, 0)
        ImageDraw.Draw(mask).polygon(self._fined(points), 255)
        return mask

    def _fined(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._fine, y * self._fine) for x, y in points]
