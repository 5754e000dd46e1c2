"""Small pictures whose every part can be told from every other, and their encoded forms."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SUFFIX = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "TIFF": "tif",
    "BMP": "bmp",
    "AVIF": "avif",
}


def painted(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green, blue and gray quarters; no symmetry whatever."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (230, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 200, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 230)
    pixels[height // 2 :, width // 2 :] = (120, 120, 120)
    return Image.fromarray(pixels)


def shaded(width: int, height: int) -> Image.Image:
    """Brightness rises from left to right, red from top to bottom; nothing that JPEG would lose."""
    columns = np.linspace(20, 230, width)[None, :] * np.ones((height, 1))
    rows = np.linspace(20, 230, height)[:, None] * np.ones((1, width))
    return Image.fromarray(np.stack([rows, columns, columns], axis=2).round().astype(np.uint8))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth blobs with grain on them, like a photograph to an encoder."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((width, height))
    grain = rng.integers(-8, 9, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(blobs) + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def png(width: int, height: int, bits: int, color: int, rows: bytes = b"", *more: bytes) -> bytes:
    """Write a PNG by hand: header as given, `rows` as its filtered data, further chunks before."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunks = [b"IHDR" + header, *more, b"IDAT" + zlib.compress(rows), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )
