"""What happens to pictures on their way: real altered copies, encoded as files."""

import io
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Alteration = Callable[[Image.Image], bytes]


def jpeg(picture: Image.Image, quality: int = 92) -> bytes:
    """Encode as JPEG."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def png(picture: Image.Image) -> bytes:
    """Encode as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def scaled(picture: Image.Image, share: float) -> Image.Image:
    """Scale both sides by a share."""
    size = (max(8, round(picture.width * share)), max(8, round(picture.height * share)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Cut a share of each side off at each border."""
    x, y = round(picture.width * share), round(picture.height * share)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def marked(picture: Image.Image) -> Image.Image:
    """Write a translucent watermark across the lower right."""
    layer = Image.new("RGBA", picture.size)
    size = max(8, picture.height // 10)
    place = (picture.width * 0.98, picture.height * 0.98)
    ImageDraw.Draw(layer).text(
        place, "© LOOKALIKE", fill=(255, 255, 255, 160), anchor="rs", font_size=size
    )
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def framed(picture: Image.Image) -> Image.Image:
    """Put a white border of a twentieth around it."""
    width = round(0.05 * max(picture.size))
    size = (picture.width + 2 * width, picture.height + 2 * width)
    canvas = Image.new("RGB", size, "white")
    canvas.paste(picture, (width, width))
    return canvas


ALTERATIONS: Final[dict[str, Alteration]] = {
    "JPEG, quality 85": lambda p: jpeg(p, 85),
    "JPEG, quality 30": lambda p: jpeg(p, 30),
    "half as large": lambda p: jpeg(scaled(p, 0.5)),
    "twice as large": lambda p: jpeg(scaled(p, 2)),
    "2 % cropped": lambda p: jpeg(cropped(p, 0.01)),
    "5 % cropped": lambda p: jpeg(cropped(p, 0.025)),
    "10 % cropped": lambda p: jpeg(cropped(p, 0.05)),
    "brighter by 25 %": lambda p: jpeg(ImageEnhance.Brightness(p).enhance(1.25)),
    "darker by 25 %": lambda p: jpeg(ImageEnhance.Brightness(p).enhance(0.75)),
    "more contrast": lambda p: jpeg(ImageEnhance.Contrast(p).enhance(1.3)),
    "blurred": lambda p: jpeg(p.filter(ImageFilter.GaussianBlur(max(p.size) / 150))),
    "watermark": lambda p: jpeg(marked(p)),
    "gray": lambda p: jpeg(p.convert("L")),
    "white border": lambda p: jpeg(framed(p)),
    "rotated by 2 degrees": lambda p: jpeg(p.rotate(2, Image.Resampling.BICUBIC)),
}
"""By name; all but the last three are expected to be found."""


def mirrored_copy(picture: Image.Image) -> bytes:
    """Exchange left and right, and encode again."""
    return jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90)
