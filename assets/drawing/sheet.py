"""A page of type and fine lines: small letters, a table, a star, rings, fans of hairlines, checkers and gratings."""

import numpy as np
from PIL import Image, ImageDraw

from assets.drawing.canvas import Canvas, font

WIDTH, HEIGHT = 1024, 768
PAPER, INK, GREY, BLUE, RED, GREEN, NIGHT = "#fcfcfc", "#15171c", "#6b7280", "#1d4ed8", "#c81e1e", "#0f766e", "#14213d"
LEFT, MIDDLE = 44, 584
SIZES_PX = (30, 24, 19, 16, 14, 12, 11, 10, 9, 8)
LINE = "Quartz glyphs vex a jumbled wolf pack: 0123456789"
PARAGRAPH = (
    "An upscaler that guesses well still has to spell. Look at the dots of",
    "i and j, at the holes in a, e and 8, and at whether rn became m and",
    "cl became d. Strokes one pixel wide show halos before anything else.",
)
SMALL_PARAGRAPH = (
    "Repair is not invention: where a comma or a decimal point is gone from the",
    "small picture, a model may only suppose it. Compare 1 l I | and 0 O o, 5 S, 8 B,",
    "rn m, vv w; (brackets), & % @ #. Letters of twelve pixels survive a factor of two,",
    "hardly one of three; at four they turn into texture.",
)
ORDER = (("Lens hood 62 mm", "2", "18.40", "36.80"), ("Filter, clear", "10", "7.95", "79.50"), ("Cable 0.5 m", "3", "4.10", "12.30"))
COLUMNS = ((LEFT + 6, "ls"), (372, "rs"), (452, "rs"), (532, "rs"))
SAMPLES = 8
"""Points along each side of a pixel, over which the round patterns are averaged."""


def draw() -> Image.Image:
    """The page, 1024×768."""
    canvas = Canvas(WIDTH, HEIGHT, PAPER)
    _lines(canvas)
    _patterns(canvas)
    page = canvas.finished()
    pen = ImageDraw.Draw(page)
    _type(pen)
    _captions(pen)
    return page


def _lines(canvas: Canvas) -> None:
    """Everything of one colour: rules, panels, fans."""
    canvas.box(LEFT, 92, 540, 93, INK)
    for row in range(5):
        canvas.box(LEFT, 532 + 24 * row, 540, 533 + 24 * row, INK if row in (0, 1, 4) else GREY)
    for column in (300, 380, 460):
        canvas.box(column, 532, column + 1, 629, GREY)
    for index, colour in enumerate((NIGHT, RED, GREEN)):
        canvas.box(LEFT + 167 * index, 656, LEFT + 167 * index + 162, 724, colour)
    for index in range(19):
        angle = np.radians(index * 5)
        x, y = MIDDLE + 2, 724
        canvas.line([(x, y), (x + 190 * np.cos(angle), y - 190 * np.sin(angle))], INK, (0.5, 1.0, 1.5)[index % 3])
    for index in range(12):
        # Each line is a little steeper than the last: where they step, a bad filter shows stairs.
        canvas.line([(808, 724 - 16 * index), (980, 724 - 16 * index - 1.5 * index)], (INK, BLUE, RED)[index % 3], 1.0)


def _patterns(canvas: Canvas) -> None:
    """Star and rings, checkers, gratings."""
    canvas.put(MIDDLE, 44, _star(196, 36))
    canvas.put(MIDDLE + 208, 44, _rings(196))
    for index, side in enumerate((1, 2, 3, 4, 6, 8)):
        y, x = np.indices((54, 54)) // side
        canvas.put(MIDDLE + 70 * index, 272, _grey((x + y) % 2))
        y, x = np.indices((54, 54)) // side
        canvas.put(MIDDLE + 70 * index, 350, _grey(x % 2))
        canvas.put(MIDDLE + 70 * index, 416, _grey(y % 2))


def _grey(dark: np.ndarray) -> np.ndarray:
    """Ink where `dark` is 1, paper where it is 0, both without colour."""
    return np.rint(252 - 230 * dark).astype(np.uint8)


def _fine_grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of the points inside each pixel, from the middle of a square of `side` pixels."""
    places = (np.arange(side * SAMPLES) + 0.5) / SAMPLES - side / 2
    x, y = np.meshgrid(places, places)
    return x, y


def _averaged(dark: np.ndarray) -> np.ndarray:
    side = dark.shape[0] // SAMPLES
    return _grey(dark.reshape(side, SAMPLES, side, SAMPLES).mean(axis=(1, 3)))


def _star(side: int, spokes: int) -> np.ndarray:
    """Siemens star: the spokes get finer towards the middle until nothing can resolve them."""
    x, y = _fine_grid(side)
    return _averaged((np.sin(np.arctan2(y, x) * spokes) > 0) & (np.hypot(x, y) < side / 2 - 1))


def _rings(side: int) -> np.ndarray:
    """Rings whose distance shrinks outwards from 12 to 2.5 pixels, of equal light and dark."""
    x, y = _fine_grid(side)
    radius, last = np.hypot(x, y), side / 2 - 1
    turns = radius / 12 + (1 / 2.5 - 1 / 12) * radius**2 / (2 * last)
    return _averaged((turns % 1 < 0.5) & (radius < last))


def _type(pen: ImageDraw.ImageDraw) -> None:
    pen.text((LEFT - 2, 38), "Fine print", INK, font(44), stroke_width=0.6, stroke_fill=INK)
    pen.text((540, 62), "small type and hairlines", GREY, font(17), anchor="ra")
    top = 104.0
    for size in SIZES_PX:
        line = LINE if size < 22 else LINE[: LINE.index(":")] if size < 28 else LINE[: LINE.index(" a ")]
        pen.text((LEFT, top), line, INK, font(size))
        pen.text((540, top + size * 0.95), str(size), GREY, font(10), anchor="rs")
        top += size * 1.36 + 3
    top += 8
    for lines, size in ((PARAGRAPH, 15), (SMALL_PARAGRAPH, 12)):
        for line in lines:
            pen.text((LEFT, top), line, INK, font(size))
            top += size * 1.45
        top += 12
    _table(pen)
    for index, (text, colour) in enumerate((("White on blue", "#ffffff"), ("Pink on red", "#fecaca"), ("Mint on green", "#a7f3d0"))):
        for size, offset in ((17, 12), (11, 36), (8, 52)):
            pen.text((LEFT + 167 * index + 12, 656 + offset - 2), text, colour, font(size))


def _table(pen: ImageDraw.ImageDraw) -> None:
    for row, cells in enumerate((("Item", "Pieces", "Price", "Sum"), *ORDER)):
        for text, (x, anchor) in zip(cells, COLUMNS, strict=True):
            pen.text((x, 549 + 24 * row), text, INK, font(13), anchor=anchor)


def _captions(pen: ImageDraw.ImageDraw) -> None:
    for x, text in ((MIDDLE, "36 spokes"), (MIDDLE + 208, "rings, 12 to 2.5 px")):
        pen.text((x, 246), text, GREY, font(12))
    for index, side in enumerate((1, 2, 3, 4, 6, 8)):
        pen.text((MIDDLE + 70 * index, 474), f"{side} px", GREY, font(12))
    pen.text((MIDDLE, 736), "hairlines every 5°, 0.5 to 1.5 px", GREY, font(12))
    pen.text((808, 736), "1 px, nearly level", GREY, font(12))
