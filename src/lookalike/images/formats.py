"""Which kinds of image are read, told by their first bytes and never by their name."""

from typing import Final

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
"""The only decoders that see a file's bytes; whatever else Pillow knows is never asked."""

EXTENSIONS: Final = frozenset(b"jpg jpeg jpe jfif png apng webp gif tif tiff bmp dib avif".split())
"""Endings, in lower case, of names that promise one of the `FORMATS`."""

RAW_EXTENSIONS: Final = frozenset(
    b"3fr arw cr2 cr3 crw dng erf iiq kdc mef mrw nef nrw orf pef raf raw rw2 rwl sr2 srw".split()
)
"""Endings, in lower case, of names of undeveloped camera files."""

SNIFF_BYTES: Final = 64
"""How many first bytes `sniff` wants to see."""

_MAGIC: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)

_BMP_HEADERS: Final = tuple(n.to_bytes(4, "little") for n in (12, 40, 52, 56, 64, 108, 124))
"""Lengths of the second header of BMP files; two letters alone begin many a text."""

_OTHER_KINDS: Final = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript drawing"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript drawing"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "an HTML document"),
    (b"<html", "an HTML document"),
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
)


def sniff(first_bytes: bytes) -> str | None:
    r"""Return which of the `FORMATS` a file with these first bytes claims to be, or `None`.

    Example:
        >>> sniff(b"GIF89a\x01\x00")
        'GIF'
        >>> sniff(b"%PDF-1.7") is None
        True
    """
    for magic, format_ in _MAGIC:
        if first_bytes.startswith(magic):
            return format_
    if first_bytes.startswith(b"RIFF") and first_bytes[8:12] == b"WEBP":
        return "WEBP"
    if first_bytes.startswith(b"BM") and first_bytes[14:18] in _BMP_HEADERS:
        return "BMP"
    return "AVIF" if _brands(first_bytes) & {b"avif", b"avis"} else None


def describe_other(first_bytes: bytes) -> str:
    """Say in a few words what a file is that `sniff` does not know.

    Example:
        >>> describe_other(b"%PDF-1.7")
        'not an image that can be read but a PDF document'
        >>> describe_other(b"hello")
        'not an image'
    """
    if not first_bytes:
        return "empty file"
    if _brands(first_bytes):
        return "not an image that can be read but a HEIC image or a video"
    start = first_bytes.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind in _OTHER_KINDS:
        if first_bytes.startswith(magic) or start.startswith(magic):
            return f"not an image that can be read but {kind}"
    return "not an image"


def is_shorter_than_stated(data: bytes) -> bool:
    """Tell whether a RIFF file (WebP), whose decoders do not say so, lacks its end."""
    return data.startswith(b"RIFF") and len(data) < 8 + int.from_bytes(data[4:8], "little")


def _brands(first_bytes: bytes) -> set[bytes]:
    """Return the brands of an ISO media file (ISO/IEC 14496-12, section 4.3), else nothing."""
    if first_bytes[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(first_bytes[:4], "big"), len(first_bytes))
    compatible = {first_bytes[start : start + 4] for start in range(16, end, 4)}
    return {first_bytes[8:12], *compatible}
