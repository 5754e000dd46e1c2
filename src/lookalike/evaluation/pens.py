"""How sheets are drawn: colors, letters, rounded corners, and the marks of what is relevant."""

from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

RELEVANT: Final = (0, 132, 96)
"""A green that the color-blind can tell from the vermilion (palette of Okabe and Ito)."""
NOT_RELEVANT: Final = (213, 94, 0)
"""Vermilion of the same palette."""

Color = tuple[int, int, int]
PAPER: Final = (252, 252, 250)
PANEL: Final = (238, 239, 241)
INK: Final = (28, 31, 36)
FADED: Final = (108, 114, 124)
RULE: Final = (222, 224, 228)

BADGE: Final = 22
_SMOOTHING: Final = 4
# The font that comes with Pillow knows these; others are drawn with the one of Matplotlib.
_BUILT_IN_CHARACTERS: Final = frozenset(map(chr, range(32, 127))) | frozenset("·±…")


@cache
def rounded(size: tuple[int, int], radius: int, *, outline: int = 0) -> Image.Image:
    """Mask of a rounded rectangle with smooth edges; hollow if `outline` gives its strength."""
    large = (size[0] * _SMOOTHING, size[1] * _SMOOTHING)
    mask = Image.new("L", large, 0)
    box = (0, 0, large[0] - 1, large[1] - 1)
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle(box, radius * _SMOOTHING, fill=255)
    if outline:
        inset = outline * _SMOOTHING
        inner = (inset, inset, large[0] - 1 - inset, large[1] - 1 - inset)
        draw.rounded_rectangle(inner, (radius - outline) * _SMOOTHING, fill=0)
    return mask.reduce(_SMOOTHING)


@cache
def _mark(is_relevant: bool) -> Image.Image:
    """Mask of a check or a cross."""
    side = BADGE * _SMOOTHING
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    checks = [((0.28, 0.52), (0.44, 0.68), (0.73, 0.35))]
    crosses = [((0.33, 0.33), (0.67, 0.67)), ((0.33, 0.67), (0.67, 0.33))]
    thick = round(side * 0.11)
    for stroke in checks if is_relevant else crosses:
        points = [(x * side, y * side) for x, y in stroke]
        draw.line(points, fill=255, width=thick, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.circle((x, y), thick / 2, fill=255)
    return mask.reduce(_SMOOTHING)


def paste_badge(canvas: Image.Image, place: tuple[int, int], is_relevant: bool) -> None:
    """Draw a check for what is relevant or a cross for what is not, `BADGE` pixels wide."""
    ring = rounded((BADGE + 4, BADGE + 4), BADGE // 2 + 2)
    paste(canvas, (place[0] - 2, place[1] - 2), ring, PAPER)
    color = RELEVANT if is_relevant else NOT_RELEVANT
    paste(canvas, place, rounded((BADGE, BADGE), BADGE // 2), color)
    paste(canvas, place, _mark(is_relevant), (255, 255, 255))


def paste(canvas: Image.Image, place: tuple[int, int], mask: Image.Image, color: Color) -> None:
    """Fill the shape of a mask with a color, its upper left corner at a place."""
    canvas.paste(color, (*place, place[0] + mask.width, place[1] + mask.height), mask)


def write_line(
    canvas: Image.Image,
    place: tuple[int, int],
    text: str,
    size: int,
    color: Color,
    width: int,
) -> None:
    """Write one line of letters `size` pixels high, shortened to `width` pixels."""
    shortened = text
    while shortened and text_width(shortened, size) > width:
        shortened = shortened.rstrip("…")[:-1].rstrip() + "…"
        if shortened == "…":
            break
    font = _font(size, set(text) <= _BUILT_IN_CHARACTERS)
    ImageDraw.Draw(canvas).text(place, shortened, fill=color, font=font)


def text_width(text: str, size: int) -> int:
    """Return how many pixels wide a line of letters `size` pixels high is."""
    return round(_font(size, set(text) <= _BUILT_IN_CHARACTERS).getlength(text))


@cache
def _font(size: int, is_built_in: bool) -> ImageFont.FreeTypeFont:
    if is_built_in:
        font = ImageFont.load_default(size)
        if isinstance(font, ImageFont.FreeTypeFont):
            return font
    import matplotlib as mpl  # noqa: PLC0415 - costs a tenth of a second, seldom needed

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size * 0.92)
