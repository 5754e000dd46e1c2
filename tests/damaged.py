"""Writes a folder of files as bad as files get, among which are good ones that must be found.

Nothing in it is random beyond the seed, so that a file that breaks something can be written again.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

GIGA = 65_000
"""Side of pictures of four gigapixels that forged headers promise."""


@dataclass(slots=True)
class Manifest:
    """What was written; paths are absolute.

    Attributes:
        folder: Where it lies.
        good: Sound pictures, all different, some with odd names or a wrong ending.
        bad: Files named like pictures that certainly give none.
        unsure: Mutants; some can still be decoded, and either is right.
        skipped: Entries that are no files, or neither look nor are named like pictures.
    """

    folder: bytes
    good: set[bytes] = field(default_factory=set)
    bad: set[bytes] = field(default_factory=set)
    unsure: set[bytes] = field(default_factory=set)
    skipped: set[bytes] = field(default_factory=set)

    @property
    def n_entries(self) -> int:
        """Number of entries of the folder."""
        return len(self.good) + len(self.bad) + len(self.unsure) + len(self.skipped)


def write_damaged(folder: bytes | Path, n: int = 2000, seed: int = 0) -> Manifest:
    """Fill a new folder with `n` entries (120 at least): about a twentieth is good.

    Besides the mutants there are forged sizes, bombs, files of other kinds under a picture's name,
    pictures under another's, empty files, a named pipe, links, and names that break programs.
    """
    manifest = Manifest(os.path.abspath(os.fsencode(folder)))  # noqa: PTH100 - bytes
    Path(os.fsdecode(manifest.folder)).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    _write_good(manifest, rng, max(20, n // 20))
    _write_hopeless(manifest)
    _write_skipped(manifest)
    mutants = _mutants(rng, n // 10)
    while manifest.n_entries < n:
        name, data = next(mutants)
        manifest.unsure.add(_write(manifest.folder, name, data))
    return manifest


def picture(rng: np.random.Generator, width: int = 120, height: int = 80) -> Image.Image:
    """Smooth blobs with grain on them, different each time."""
    blobs = rng.integers(0, 256, (5, 7, 3), np.uint8)
    smooth = Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.integers(-6, 7, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8))


def _encode(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def _encodings(rng: np.random.Generator) -> dict[str, bytes]:
    """One file of each kind that a decoder treats differently, by the name to give it."""
    image, other = picture(rng), picture(rng)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [other] * 3}
    alpha = image.copy()
    alpha.putalpha(image.getchannel("R"))
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return {
        "plain.jpg": _encode(image, "JPEG", quality=85),
        "turned.jpg": _encode(image, "JPEG", exif=exif),
        "progressive.jpg": _encode(image, "JPEG", progressive=True),
        "cmyk.jpg": _encode(image.convert("CMYK"), "JPEG"),
        "gray.jpg": _encode(image.convert("L"), "JPEG"),
        "plain.png": _encode(image, "PNG"),
        "alpha.png": _encode(alpha, "PNG"),
        "palette.png": _encode(image.quantize(40), "PNG", transparency=3),
        "deep.png": _encode(deep, "PNG"),
        "animated.png": _encode(image, "PNG", **frames),
        "lossy.webp": _encode(image, "WEBP"),
        "lossless.webp": _encode(alpha, "WEBP", lossless=True),
        "animated.webp": _encode(image, "WEBP", **frames),
        "plain.gif": _encode(image, "GIF"),
        "animated.gif": _encode(image, "GIF", **frames),
        "plain.tif": _encode(image, "TIFF"),
        "lzw.tif": _encode(image, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _encode(image, "TIFF", compression="jpeg"),
        "fax.tif": _encode(image.convert("1"), "TIFF", compression="group4"),
        "float.tif": _encode(image.convert("F"), "TIFF"),
        "plain.bmp": _encode(image, "BMP"),
        "palette.bmp": _encode(image.quantize(40), "BMP"),
        "plain.avif": _encode(image, "AVIF", speed=10),
    }


def _write(folder: bytes, name: str | bytes, data: bytes) -> bytes:
    path = os.path.join(folder, os.fsencode(name))  # noqa: PTH118 - bytes
    with open(path, "xb") as file:  # noqa: PTH123 - bytes
        file.write(data)
    return path


ODD_NAMES = (
    b"new\nline.png",
    b"not utf-8 \xff\xfe.png",
    b"-rf.png",
    b"--help",
    b"\xc3\xbc composed.png",
    b"u\xcc\x88 decomposed.png",
    b"<img src=x onerror=alert(1)>.png",
    b"%2e%2e%2fescaped.png",
    b"\xe2\x80\xaegnp.right to left.png",
    b"\x1b[31mred\x07.png",
    b"x" * 251 + b".png",
    b" .png",
    b"'; DROP TABLE files; --.png",
    b"no ending",
    b"not a text.txt",
    b"not a jpeg.jpg",
)
"""Names of good PNG files."""


def _write_good(manifest: Manifest, rng: np.random.Generator, n: int) -> None:
    for name in ODD_NAMES:
        data = _encode(picture(rng), "PNG")
        manifest.good.add(_write(manifest.folder, name, data))
    manifest.good.add(_write(manifest.folder, "good flood of frames.gif", _flood_of_frames(rng)))
    bomb = forge_png(8000, 8000, np.zeros((8000, 1001), np.uint8).tobytes(), bits=1)
    manifest.good.add(_write(manifest.folder, "good but large.png", bomb))
    while len(manifest.good) < n:
        name = f"good {len(manifest.good):04d}.jpg"
        data = _encode(picture(rng), "JPEG")
        manifest.good.add(_write(manifest.folder, name, data))


def _write_hopeless(manifest: Manifest) -> None:
    files = {
        "empty.jpg": b"",
        "empty.png": b"",
        "text.jpg": b"This is no picture at all.\n",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print\n%%EOF\n",
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "document.jpg": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n",
        "icon.png": _encode(Image.new("RGB", (16, 16)), "ICO"),
        "portable.jpg": _encode(Image.new("RGB", (16, 16)), "PPM"),
        "jpeg2000.jpg": _encode(Image.new("RGB", (64, 64)), "JPEG2000"),
        "page.gif": b"GIF89a<script>alert(1)</script>",
        "zip bomb.png": forge_png(20_000, 20_000, bytes(20_000 * 2501), bits=1),
        "text bomb.png": _text_bomb(),
        "only signature.png": b"\x89PNG\r\n\x1a\n",
        "zeros.bmp": b"BM" + bytes(1000),
        **forged_sizes(GIGA, GIGA),
    }
    for name, data in files.items():
        manifest.bad.add(_write(manifest.folder, f"bad {name}", data))


def _write_skipped(manifest: Manifest) -> None:
    folder = Path(os.fsdecode(manifest.folder))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / ".hidden").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "loop").symlink_to(folder)
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "outside").symlink_to("/")
    (folder / "endless.png").symlink_to("/dev/zero")
    (folder / "broken.png").symlink_to("nowhere")
    names = "notes.txt .hidden.png .hidden pipe.png loop self.png outside endless.png broken.png"
    manifest.skipped.update(os.fsencode(folder / name) for name in names.split())


def forged_sizes(width: int, height: int) -> dict[str, bytes]:
    """One small file of each format whose header promises a picture of this size."""
    image = picture(np.random.default_rng(1))
    jpeg, gif = _encode(image, "JPEG"), _encode(image, "GIF")
    bmp, avif = _encode(image, "BMP"), _encode(image, "AVIF", speed=10)
    frame_size = jpeg.index(b"\xff\xc0") + 5
    tiff = _encode(image, "TIFF")
    old = image.size
    return {
        "size.jpg": _patched(jpeg, frame_size, struct.pack(">HH", height, width)),
        "size.png": forge_png(width, height, bytes(1000)),
        "size.gif": _patched(gif, 6, struct.pack("<HH", width, height)),
        "size.bmp": _patched(bmp, 18, struct.pack("<ii", width, height)),
        "size.tif": tiff.replace(_tiff_tag(256, old[0]), _tiff_tag(256, width)).replace(
            _tiff_tag(257, old[1]), _tiff_tag(257, height)
        ),
        "size.webp": forge_webp(width, height),
        "size.avif": avif.replace(struct.pack(">II", *old), struct.pack(">II", width, height)),
    }


def forge_png(width: int, height: int, rows: bytes, bits: int = 8) -> bytes:
    """Write a gray PNG whose header says this size and whose data are `rows`, compressed."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = (b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_png_chunk, parts))


def forge_webp(width: int, height: int) -> bytes:
    """Write an extended WebP whose canvas has this size (WebP container, section VP8X)."""
    lossy = _encode(picture(np.random.default_rng(1)), "WEBP")[12:]
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (width, height))
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0x02) + sides + lossy
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _flood_of_frames(rng: np.random.Generator) -> bytes:
    """A GIF of 100 frames of four megapixels each; only the first should ever be decoded."""
    still = picture(rng, 9, 9).quantize(16).resize((2000, 2000))
    data = _encode(still, "GIF", optimize=False)
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + data[start:-1] * 100 + b";"


def _text_bomb() -> bytes:
    text = b"zTXtComment\0\0" + zlib.compress(bytes(20 * 2**20))
    end = _png_chunk(b"IEND")
    return forge_png(9, 9, bytes(90)).removesuffix(end)[:33] + _png_chunk(text) * 50 + end


def _png_chunk(content: bytes) -> bytes:
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def _tiff_tag(tag: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, 4, 1, value)


def _patched(data: bytes, start: int, patch: bytes) -> bytes:
    return data[:start] + patch + data[start + len(patch) :]


Mutation = Callable[[bytes, np.random.Generator], bytes]


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    mutant = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 20)):
        mutant[place] ^= int(rng.integers(1, 256))
    return bytes(mutant)


def _flip_early(data: bytes, rng: np.random.Generator) -> bytes:
    return _flip(data[:200], rng) + data[200:]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(1, len(data))]


def _insert(data: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(0, len(data))
    return data[:place] + rng.bytes(int(rng.integers(1, 200))) + data[place:]


def _remove(data: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(0, len(data))
    return data[:place] + data[place + rng.integers(1, 200) :]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = sorted(rng.integers(0, len(data), 2))
    return data[:end] + data[start:end] * int(rng.integers(1, 5)) + data[end:]


def _saturate(data: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(0, min(len(data), 300)))
    value = (b"\x00", b"\x7f", b"\x80", b"\xff")[rng.integers(4)]
    return _patched(data, place, value * int(rng.integers(1, 9)))[: len(data)]


MUTATIONS: tuple[Mutation, ...] = (_flip, _flip_early, _cut, _insert, _remove, _repeat, _saturate)


def _mutants(rng: np.random.Generator, distance: int) -> Iterator[tuple[str, bytes]]:
    """Endless mutants of all kinds in turn, with headers just within the limit of pixels between.

    Those are `distance` files apart, as the memory of two at once is not what they are to test.
    """
    largest = list(forged_sizes(8000, 7999).items())
    encodings = _encodings(rng)
    number = 0
    while True:
        for name, data in encodings.items():
            mutation = MUTATIONS[number % len(MUTATIONS)]
            yield f"{number:05d}{mutation.__name__}_{name}", mutation(data, rng)
            number += 1
            if number % distance == 0 and largest:
                within, forged = largest.pop()
                yield f"{number:05d}_within_limit_{within}", forged
