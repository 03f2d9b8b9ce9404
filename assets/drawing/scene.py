"""A drawn coast at dusk: flat colours, outlines, gradients, hatching, halftone dots, rigging one pixel wide."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from assets.drawing.canvas import Canvas, Colour, Point

WIDTH, HEIGHT = 1024, 768
HORIZON = 452
INK, CREAM, WHITE, RED, DARK_RED = "#1c1b2e", "#fff3d6", "#fdfbf5", "#d8433b", "#9d2a2f"
GRASS, DARK_GRASS, ROCK, DARK_ROCK, LIGHT = "#5f8f4e", "#37623c", "#8a6f63", "#5d4a4c", "#ffd166"


def draw() -> Image.Image:
    """The picture, 1024×768."""
    canvas = Canvas(WIDTH, HEIGHT, WHITE)
    _sky(canvas)
    _mountains(canvas)
    _sea(canvas)
    _boat(canvas, 668, 580)
    _cliff(canvas)
    _house(canvas, 300, 446)
    _lighthouse(canvas, 176, 470)
    _gulls(canvas)
    _frame(canvas)
    return canvas.finished()


def _block(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _sky(canvas: Canvas) -> None:
    canvas.fade(_block(0, 0, WIDTH, 280), "#26366e", "#b9587a")
    canvas.fade(_block(0, 280, WIDTH, HORIZON), "#b9587a", "#ffc27a")
    # Halftone: dots on a turned grid, smaller and smaller downwards.
    for row in range(26):
        for column in range(110):
            x, y = column * 10 + (row % 2) * 5, 6 + row * 8.6
            canvas.disc(x, y, 2.9 * (1 - row / 26), "#1e2b5c")
    for x, y, size in ((470, 66, 9), (604, 128, 6), (556, 40, 5), (930, 70, 8), (846, 150, 5), (396, 132, 5), (724, 58, 6)):
        _star(canvas, x, y, size)
    canvas.disc(770, 392, 70, "#fff0bf")
    for index in range(6):
        y = 392 + 8 + index * 11
        canvas.box(690, y, 850, y + 1 + index, "#f9b27b")
    _cloud(canvas, ((560, 236, 24), (596, 222, 34), (640, 226, 30), (676, 240, 20)), "#f3a58d")
    _cloud(canvas, ((846, 262, 18), (876, 250, 28), (914, 254, 24), (944, 266, 16)), "#f7b795")


def _star(canvas: Canvas, x: float, y: float, size: float) -> None:
    turns = np.arange(8) * np.pi / 4
    reach = np.where(np.arange(8) % 2 == 0, size, size * 0.28)
    canvas.polygon(list(zip(x + reach * np.cos(turns), y + reach * np.sin(turns), strict=True)), CREAM)


def _cloud(canvas: Canvas, puffs: Sequence[tuple[float, float, float]], colour: Colour) -> None:
    """Discs on a flat base; what is inked first stays visible only around all of them."""
    base = max(y + radius * 0.55 for _, y, radius in puffs)
    left, right = puffs[0][0] - puffs[0][2], puffs[-1][0] + puffs[-1][2]
    for grow, fill in ((2.2, INK), (0.0, colour)):
        for x, y, radius in puffs:
            canvas.disc(x, y, radius + grow, fill)
        canvas.box(left - grow, base - 16 - grow, right + grow, base + grow, fill)
    for index in range(4):
        canvas.line([(left + 26 + 9 * index, base - 4 - 4 * index), (right - 20 - 12 * index, base - 4 - 4 * index)], "#d9818a", 1.2)


def _mountains(canvas: Canvas) -> None:
    far = [(300, HORIZON), (392, 372), (448, 404), (530, 330), (600, 392), (650, 366), (760, HORIZON)]
    canvas.fade(far, "#8a5b86", "#c27f8c")
    canvas.line(far, INK, 1.6)
    near = [(600, HORIZON), (700, 410), (742, 424), (846, 318), (904, 376), (948, 350), (WIDTH, 408), (WIDTH, HORIZON)]
    canvas.polygon(near, "#4d4a7c")
    shade = [(846, 318), (904, 376), (948, 350), (WIDTH, 408), (WIDTH, HORIZON), (880, HORIZON), (862, 400), (872, 372)]
    canvas.polygon(shade, "#3b3966")
    canvas.hatch(shade, INK, angle_deg=58, gap=6, width=1.1)
    snow = [(846, 318), (820, 344), (832, 350), (842, 340), (850, 356), (862, 344), (876, 348)]
    canvas.polygon(snow, WHITE, INK, 1.6)
    canvas.line(near, INK, 2.4)


def _sea(canvas: Canvas) -> None:
    canvas.fade(_block(0, HORIZON, WIDTH, HEIGHT), "#3f8fa3", "#12304f")
    for index in range(26):
        # The sun's way on the water.
        y, half = HORIZON + 5 + index * 5.2, 62 - index * 1.9 + 9 * np.sin(index * 2.3)
        middle = 770 + 7 * np.sin(index * 1.7)
        canvas.line([(middle - half, y), (middle + half, y)], "#ffd893", 1.0 + index * 0.06)
    x = np.arange(0, WIDTH + 4, 4.0)
    for index in range(13):
        depth = index / 12
        y = HORIZON + 26 + 270 * depth**1.35 + (2 + 7 * depth) * np.sin(x / (9 + 26 * depth) + index * 1.9)
        canvas.line(list(zip(x, y, strict=True)), ("#86d0cf", "#5fb3bd", "#1d4a6b")[index % 3], 1.0 + 1.8 * depth)


def _boat(canvas: Canvas, x: float, y: float) -> None:
    hull = [(x - 96, y), (x + 104, y - 6), (x + 74, y + 38), (x - 66, y + 38)]
    canvas.polygon(hull, DARK_RED, INK, 3)
    canvas.polygon([(x - 91, y + 7), (x + 99, y + 2), (x + 95, y + 9), (x - 86, y + 14)], CREAM)
    canvas.hatch([(x + 20, y + 12), (x + 93, y + 11), (x + 72, y + 37), (x, y + 37)], INK, angle_deg=70, gap=5, width=1.0)
    canvas.line([(x, y), (x, y - 206)], INK, 4)
    main = [(x + 6, y - 196), (x + 92, y - 22), (x + 6, y - 22)]
    jib = [(x - 6, y - 186), (x - 88, y - 14), (x - 6, y - 26)]
    canvas.fade(main, WHITE, "#f2c9a0")
    canvas.line([*main, main[0], main[1]], INK, 2.2)
    canvas.polygon(jib, RED, INK, 2.2)
    for index in range(1, 6):
        share = index / 6
        canvas.line([(x + 6, y - 196 + 174 * share), (x + 6 + 86 * share, y - 196 + 174 * share)], "#a88770", 1.0)
    canvas.hatch([(x - 6, y - 150), (x - 34, y - 126), (x - 86, y - 15), (x - 40, y - 20)], DARK_RED, angle_deg=-64, gap=5, width=1.2)
    for end in ((x - 94, y - 2), (x + 102, y - 8), (x - 60, y + 2), (x + 60, y - 2)):
        canvas.line([(x, y - 202), end], INK, 1.0)
    canvas.polygon([(x, y - 206), (x + 34, y - 198), (x, y - 188)], LIGHT, INK, 1.6)
    for index in range(7):
        canvas.line([(x - 74 + 12 * index, y + 46 + 5 * index), (x + 66 - 9 * index, y + 46 + 5 * index)], INK, 1.6)


def _cliff(canvas: Canvas) -> None:
    rock = [(0, 512), (60, 494), (372, 486), (436, 520), (420, 566), (458, 610), (430, 664), (470, 700), (452, HEIGHT), (0, HEIGHT)]
    canvas.polygon(rock, ROCK, INK, 3)
    shade = [
        (372, 486),
        (436, 520),
        (420, 566),
        (458, 610),
        (430, 664),
        (470, 700),
        (452, HEIGHT),
        (330, HEIGHT),
        (352, 660),
        (318, 600),
        (346, 540),
    ]
    canvas.polygon(shade, DARK_ROCK)
    canvas.hatch(shade, INK, angle_deg=52, gap=7, width=1.2)
    canvas.hatch([(346, 540), (436, 520), (420, 566), (458, 610), (430, 664), (352, 660), (318, 600)], INK, angle_deg=-38, gap=7, width=1.0)
    for path in (
        [(40, 590), (96, 604), (130, 590), (190, 612)],
        [(60, 664), (110, 650), (176, 676), (250, 660)],
        [(150, 720), (214, 704), (270, 726)],
        [(220, 566), (262, 580), (300, 570)],
    ):
        canvas.line(path, INK, 2.0)
    canvas.hatch([(0, 600), (84, 628), (130, 700), (96, HEIGHT), (0, HEIGHT)], DARK_ROCK, angle_deg=20, gap=8, width=2.2)
    x = np.arange(-6, 438, 8.0)
    edge = 548 + 9 * np.sin(x / 23) + 6 * np.sin(x / 9.0)
    turf = [(0, 512), (60, 494), (372, 486), (436, 520), *zip(x[::-1], np.minimum(edge, 560)[::-1], strict=True)]
    canvas.polygon(turf, GRASS, INK, 2.4)
    for index in range(120):
        left, foot = (index * 53) % 418 + 4, 506 + (index * 29) % 34
        lean = (index * 7) % 9 - 4
        canvas.line([(left, foot), (left + lean, foot - 9 - index % 5)], (DARK_GRASS, "#9cc36a")[index % 2], 1.3)


def _house(canvas: Canvas, x: float, y: float) -> None:
    canvas.polygon(_block(x, y, x + 92, y + 56), CREAM, INK, 2.6)
    roof = [(x - 12, y + 2), (x + 14, y - 36), (x + 80, y - 36), (x + 104, y + 2)]
    canvas.polygon(roof, RED)
    canvas.hatch(roof, DARK_RED, angle_deg=0, gap=6, width=1.2)
    canvas.hatch(roof, DARK_RED, angle_deg=90, gap=8, width=0.8)
    canvas.line([*roof, roof[0], roof[1]], INK, 2.6)
    canvas.polygon(_block(x + 60, y - 54, x + 74, y - 36), DARK_RED, INK, 2)
    for left in (x + 12, x + 60):
        canvas.polygon(_block(left, y + 14, left + 20, y + 38), LIGHT, INK, 2)
        canvas.line([(left + 10, y + 14), (left + 10, y + 38)], INK, 1.0)
        canvas.line([(left, y + 26), (left + 20, y + 26)], INK, 1.0)
    canvas.polygon(_block(x + 38, y + 18, x + 54, y + 56), "#2f5d62", INK, 2)
    # A fence down the slope beside it.
    fence = [(left, y + 40 + (left - x - 72) * 0.53) for left in np.arange(x + 102, x + 134, 6)]
    for left, foot in fence:
        canvas.line([(left, foot), (left, foot - 15)], INK, 1.0)
    for up in (5, 11):
        canvas.line([(fence[0][0], fence[0][1] - up), (fence[-1][0], fence[-1][1] - up)], INK, 1.0)


def _lighthouse(canvas: Canvas, x: float, y: float) -> None:
    top, foot = 150, y + 50

    def half(at: float) -> float:
        return 30 + 22 * (at - top) / (foot - top)

    def band(upper: float, lower: float) -> list[Point]:
        return [(x - half(upper), upper), (x + half(upper), upper), (x + half(lower), lower), (x - half(lower), lower)]

    beam = [(x, 118), (WIDTH, 190), (WIDTH, 250)]
    canvas.hatch(beam, "#ffe7a8", angle_deg=8.5, gap=5, width=1.2)
    canvas.polygon(band(top, foot), WHITE)
    for index in range(4):
        upper = top + 16 + index * 92
        canvas.polygon(band(upper, upper + 46), RED)
    shade = [(x + 8, top), (x + half(top), top), (x + half(foot), foot), (x + 18, foot)]
    canvas.hatch(shade, INK, angle_deg=90, gap=5, width=0.9)
    canvas.hatch([(x + 20, top), (x + half(top), top), (x + half(foot), foot), (x + 36, foot)], INK, angle_deg=-30, gap=6, width=0.9)
    canvas.line([*band(top, foot), *band(top, foot)[:2]], INK, 3)
    for at in (236, 330, 420):
        canvas.polygon(_block(x - 9, at, x + 5, at + 22), INK)
        canvas.polygon(_block(x - 6, at + 4, x + 2, at + 18), LIGHT)
    canvas.polygon(_block(x - 16, foot - 36, x + 12, foot), "#2f5d62", INK, 2.4)
    canvas.polygon(_block(x - 44, top - 8, x + 44, top + 2), DARK_ROCK, INK, 2.4)
    canvas.fade(_block(x - 22, 98, x + 22, top - 8), "#fff7cf", LIGHT)
    for offset in (-22, -11, 0, 11, 22):
        canvas.line([(x + offset, 98), (x + offset, top - 8)], INK, 1.2)
    canvas.line([(x - 22, 120), (x + 22, 120)], INK, 1.0)
    for index in range(12):
        canvas.line([(x - 42 + index * 7.6, top - 8), (x - 42 + index * 7.6, top - 26)], INK, 1.0)
    canvas.line([(x - 44, top - 26), (x + 44, top - 26)], INK, 1.6)
    canvas.polygon([(x - 30, 98), (x, 62), (x + 30, 98)], RED, INK, 2.6)
    canvas.line([(x, 62), (x, 40)], INK, 1.6)
    canvas.disc(x, 40, 4, LIGHT, INK, 1.4)


def _gulls(canvas: Canvas) -> None:
    turn = np.linspace(0, np.pi, 9)
    for x, y, size in ((420, 232, 20), (470, 262, 13), (398, 286, 11), (540, 300, 9), (908, 496, 12), (872, 520, 9)):
        for side in (-1, 1):
            wing = list(zip(x + side * size * (turn / np.pi), y - size * 0.45 * np.sin(turn), strict=True))
            canvas.line(wing, INK, 1.2 + size * 0.05)


def _frame(canvas: Canvas) -> None:
    for inset, width, colour in ((0, 16, WHITE), (16, 4, INK)):
        for edge in (
            (inset, inset, WIDTH - inset, inset + width),
            (inset, HEIGHT - inset - width, WIDTH - inset, HEIGHT - inset),
            (inset, inset, inset + width, HEIGHT - inset),
            (WIDTH - inset - width, inset, WIDTH - inset, HEIGHT - inset),
        ):
            canvas.box(*edge, colour)
