import os
import socket
import struct
import time

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import ImageError, ImageLimitError, UsageError
from lookalike.images.decoding import FORMATS, DecodeLimits, decode, read_file
from tests.images.painted import encoded, noise, painted, png, shaded
from tests.images.profiles import BLUE, GREEN, RED, gray_profile, matrix_profile

WHITE = (255, 255, 255)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}}


def difference(pixels, image) -> float:
    return float(np.abs(pixels.astype(int) - np.asarray(image.convert("RGB")).astype(int)).mean())


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_gives_its_picture(format_):
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "AVIF": {"subsampling": "4:4:4"}}
    decoded = decode(encoded(painted(), format_, **options.get(format_, {})))
    assert (decoded.format, decoded.width, decoded.height) == (format_, 96, 64)
    assert decoded.pixels.shape == (64, 96, 3)
    assert difference(decoded.pixels, painted()) < 3


@pytest.mark.parametrize("format_", LOSSLESS)
def test_full_resolution_is_exact(format_):
    decoded = decode(encoded(noise(37, 23), format_, **LOSSLESS[format_]))
    np.testing.assert_array_equal(decoded.pixels, np.asarray(noise(37, 23)))


@pytest.mark.parametrize("size", [(128, 128), (100, 37), (30, 200)])
@pytest.mark.parametrize("stored", [(1033, 1025), (640, 480), (257, 1031)])
def test_scaled_jpeg_lies_where_the_full_one_does(stored, size):
    """On a slope, brightness tells where a pixel comes from."""
    slope = shaded(*stored)
    rising, falling = (
        decode(encoded(image, "JPEG", quality=100, subsampling=0), size).pixels.astype(float)
        for image in (slope, slope.point(lambda value: 250 - value))
    )
    pixels = 125 + (rising - falling) / 2  # JPEG darkens both alike, by a third of a level
    profiles = (pixels[:, :, 2].mean(axis=0), pixels[:, :, 0].mean(axis=1))
    for profile, n_stored in zip(profiles, stored, strict=True):
        place = np.arange(1, len(profile) - 1)  # the outermost have neighbors on one side only
        stored_place = (profile[1:-1] - 20) / 210 * (n_stored - 1)
        seen = (stored_place + 0.5) * len(profile) / n_stored - 0.5
        shift_at_ends = np.polyval(np.polyfit(place, seen - place, 1), [0, len(profile)])
        assert np.abs(shift_at_ends).max() < 0.12


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_resize_averages_and_does_not_sample(format_):
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = decode(encoded(Image.fromarray(stripes), format_), (16, 16)).pixels
    inner = pixels[:, 1:-1].astype(int)  # the outermost windows hold an odd number of stripes
    assert np.abs(inner - 127).max() <= 3


def test_scaled_jpeg_resembles_the_full_one_resized():
    data = encoded(noise(1200, 900), "JPEG", quality=90)
    full = Image.fromarray(decode(data).pixels).resize((128, 96), Image.Resampling.BILINEAR)
    assert difference(decode(data, (96, 128)).pixels, full) < 1


def test_jpeg_is_never_decoded_smaller_than_the_target():
    """Detail of one pixel survives at the size of the file, which a reduced decode would lose."""
    image = noise(300, 300)
    pixels = decode(encoded(image, "JPEG", quality=98, subsampling=0), (290, 290)).pixels
    assert difference(pixels, image.resize((290, 290), Image.Resampling.BILINEAR)) < 1.5


@pytest.mark.parametrize("size", [(1, 1), (300, 500)])
def test_any_size_can_be_asked_for(size):
    assert decode(encoded(painted(), "PNG"), size).pixels.shape == (*size, 3)


def turned_file(orientation: int, format_: str) -> bytes:
    """The painted picture, stored so that this orientation brings it upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = painted(160, 96)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, format_, exif=exif)


@pytest.mark.parametrize("size", [None, (24, 40)])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_comes_upright(format_, orientation, size):
    decoded = decode(turned_file(orientation, format_), size)
    assert (decoded.width, decoded.height) == (160, 96)
    upright = painted(160, 96)
    if size:
        upright = upright.resize(size[::-1], Image.Resampling.BILINEAR)
    assert difference(decoded.pixels, upright) < 6


def test_orientation_9_and_broken_exif_are_ignored():
    exif = Image.Exif()
    exif[0x0112] = 9
    assert decode(encoded(painted(), "JPEG", exif=exif)).width == 96
    assert decode(encoded(painted(), "JPEG", exif=b"Exif\0\0garbage!")).width == 96


@pytest.mark.parametrize("size", [None, (8, 8)])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_profile_leads_to_srgb(format_, size):
    """In this profile, red and green have changed places."""
    profile = matrix_profile(GREEN, RED, BLUE)
    data = encoded(Image.new("RGB", (40, 40), (255, 0, 0)), format_, icc_profile=profile)
    np.testing.assert_allclose(decode(data, size).pixels[3, 3], (0, 255, 0), atol=4)


def test_gray_profile_leads_to_srgb():
    linear = encoded(Image.new("L", (9, 9), 55), "PNG", icc_profile=gray_profile(1.0))
    np.testing.assert_allclose(decode(linear).pixels[0, 0], 128, atol=3)


@pytest.mark.parametrize(
    "profile",
    [b"junk", matrix_profile()[:200], gray_profile(1.0)],
    ids=["junk", "cut off", "of another color model"],
)
def test_useless_profile_is_ignored(profile):
    data = encoded(Image.new("RGB", (9, 9), (10, 200, 30)), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode(data).pixels[0, 0], (10, 200, 30))


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(format_):
    """Pillow writes the inverted values that Adobe's programs do."""
    red = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    np.testing.assert_allclose(
        decode(encoded(red, format_), (9, 9)).pixels[4, 4], (254, 0, 0), atol=3
    )


def half_transparent(mode: str) -> Image.Image:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 40))
    return image.convert(mode)


@pytest.mark.parametrize("size", [None, (10, 10)])
@pytest.mark.parametrize(
    ("mode", "format_"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("RGBA", "AVIF")],
)
def test_transparency_is_seen_over_white(mode, format_, size):
    pixels = decode(encoded(half_transparent(mode), format_), size).pixels
    np.testing.assert_allclose(pixels[5, 1], WHITE, atol=3)
    np.testing.assert_allclose(pixels[5, -2], (0, 0, 0), atol=3)


@pytest.mark.parametrize("size", [None, (10, 10)])
@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_transparent_palette_entry_is_seen_over_white(format_, size):
    image = Image.new("P", (40, 40), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (20, 0, 40, 40))
    pixels = decode(encoded(image, format_, transparency=0), size).pixels
    np.testing.assert_array_equal(pixels[5, 1], WHITE)
    np.testing.assert_array_equal(pixels[5, -2], (0, 0, 200))


@pytest.mark.parametrize(("mode", "key"), [("L", 0), ("RGB", (0, 0, 0))])
def test_transparent_color_is_seen_over_white(mode, key):
    data = encoded(Image.new(mode, (9, 9), key), "PNG", transparency=key)
    np.testing.assert_array_equal(decode(data).pixels[0, 0], WHITE)


def test_color_of_transparent_pixels_does_not_bleed():
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (33, 0, 64, 64))
    red, green, blue = decode(encoded(image, "PNG"), (2, 2)).pixels[0, 0]
    assert red == green
    assert blue == 255


@pytest.mark.parametrize("size", [None, (4, 4)])
@pytest.mark.parametrize("value", [0, 1000, 32768, 65535])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF big-endian"])
def test_deep_gray_is_scaled_and_not_clipped(kind, value, size):
    values = np.full((8, 8), value, np.uint16)
    data = encoded(Image.fromarray(values), kind.split()[0])
    if "big-endian" in kind:
        data = encoded(Image.frombytes("I;16B", (8, 8), values.astype(">u2").tobytes()), "TIFF")
    np.testing.assert_array_equal(decode(data, size).pixels, round(value * 255 / 65535))


@pytest.mark.parametrize("value", [0, 1000, 32768, 65535])
def test_deep_color_is_scaled_and_not_clipped(value):
    row = b"\0" + struct.pack(">3H", value, 65535 - value, 0) * 8
    pixels = decode(png(8, 8, bits=16, color=2, rows=row * 8)).pixels
    np.testing.assert_allclose(pixels[0, 0], np.array([value, 65535 - value, 0]) / 257, atol=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 200.0], [0, 100, 200]),
        ([0.0, 25700.0, 51400.0], [0, 100, 200]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([np.nan, np.inf, 1.0], [0, 0, 255]),
        ([5e9, 5e9, 5e9], [0, 0, 0]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
    ],
    ids=["unit", "bytes", "words", "own range", "not finite", "flat", "widest range"],
)
def test_float_picture_is_scaled_by_its_range(values, expected):
    data = encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")
    np.testing.assert_array_equal(decode(data).pixels[0, :, 0], expected)


def test_integer_picture_is_scaled_by_its_range():
    data = encoded(Image.fromarray(np.array([[0, 1_000_000]], np.int32)), "TIFF")
    np.testing.assert_array_equal(decode(data).pixels[0, :, 0], [0, 255])


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_single_bits_are_averaged(format_):
    checkers = Image.fromarray(np.indices((64, 64)).sum(axis=0) % 2 == 1)
    assert checkers.mode == "1"
    pixels = decode(encoded(checkers, format_), (8, 8)).pixels
    assert np.abs(pixels.astype(int) - 127).max() <= 2


def test_palette_is_averaged_as_colors():
    image = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2).astype(np.uint8), "L")
    image = image.convert("P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    np.testing.assert_allclose(
        decode(encoded(image, "PNG"), (8, 8)).pixels[4, 4], (100, 0, 100), atol=2
    )


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_is_taken(format_):
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "green", "blue")]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=40)
    np.testing.assert_allclose(decode(data).pixels[30, 30], (255, 0, 0), atol=3)


def test_multi_picture_jpeg_gives_its_first():
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    decoded = decode(data)
    np.testing.assert_allclose(decoded.pixels[30, 30], (254, 0, 0), atol=3)
    assert decoded.format == "JPEG"


def test_result_can_be_written_to():
    decode(encoded(painted(), "PNG")).pixels[0, 0] = 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^empty file$"),
        (b"hello", "^not an image$"),
        (b"BMW builds cars, and this is a text", "^not an image$"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript drawing"),
        (b"\xef\xbb\xbf\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x00\x00\x01\x00\x01\x00" + bytes(40), "an icon"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC image or a video"),
    ],
)
def test_what_is_no_image_is_named(data, reason):
    with pytest.raises(ImageError, match=reason):
        decode(data)


def test_formats_off_the_list_are_refused():
    for format_ in ("PPM", "ICO", "PCX", "TGA", "EPS", "JPEG2000"):
        with pytest.raises(ImageError, match="not an image"):
            decode(encoded(painted(), format_))


@pytest.mark.parametrize("size", [None, (8, 8)])
@pytest.mark.parametrize("format_", FORMATS)
def test_cut_off_file_is_refused_wherever_it_is_cut(format_, size):
    data = encoded(noise(60, 40), format_)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        with pytest.raises(ImageError):
            decode(data[: int(share * len(data))], size)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_cut_off_file_is_called_so(format_):
    data = encoded(noise(60, 40), format_)
    with pytest.raises(ImageError, match=r"^the file is cut off$"):
        decode(data[: int(0.7 * len(data))])


def test_gigapixel_header_is_refused_before_anything_is_decoded():
    started = time.process_time()
    with pytest.raises(
        ImageLimitError,
        match=r"^65000 × 65000 pixels, the limit is 64 million; raise it with --max-megapixels$",
    ):
        decode(png(65000, 65000, bits=8, color=2))
    assert time.process_time() - started < 0.05


def test_limits_are_ours_and_not_the_process_s(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(encoded(painted(), "PNG")).width == 96
    assert Image.MAX_IMAGE_PIXELS == 100


def test_limit_of_the_process_is_reported_where_pillow_insists(monkeypatch):
    data = encoded(painted(), "WEBP")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageLimitError, match="MAX_IMAGE_PIXELS"):
        decode(data)


def test_limits_count():
    data = encoded(painted(), "PNG")
    decode(data, limits=DecodeLimits(max_bytes=len(data), max_pixels=96 * 64))
    with pytest.raises(ImageLimitError, match="raise it with --max-megabytes"):
        decode(data, limits=DecodeLimits(max_bytes=len(data) - 1))
    with pytest.raises(ImageLimitError, match="96 × 64 pixels"):
        decode(data, limits=DecodeLimits(max_pixels=96 * 64 - 1))


def test_frame_that_enlarges_a_gif_counts():
    data = bytearray(encoded(painted(), "GIF"))
    frame = data.index(b",", 13 + 3 * (2 << (data[10] & 7)))
    for side, reason in ((9000, "9000 × 9000 pixels"), (60000, "more pixels than")):
        data[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
        with pytest.raises(ImageLimitError, match=reason):
            decode(bytes(data))


def test_picture_without_pixels_is_refused():
    with pytest.raises(ImageError):
        decode(png(0, 10, bits=8, color=2))


def test_size_must_be_positive():
    with pytest.raises(UsageError, match="at least 1 pixel"):
        decode(encoded(painted(), "PNG"), (0, 8))


def test_reading_gives_the_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"\x00\x01" * 1000)
    assert read_file(path) == read_file(os.fsencode(path)) == path.read_bytes()


def test_what_is_no_file_is_refused_at_once_and_by_name(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, reason in {
            "missing": "no such file",
            "folder": "a folder",
            "link": "a symbolic link",
            "pipe": "a named pipe",
            "socket": "a socket",
        }.items():
            with pytest.raises(ImageError, match=f"/{name}: {reason}"):
                read_file(tmp_path / name)


def test_reading_obeys_the_limit_of_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(3 * 2**20))
    with pytest.raises(ImageLimitError, match=r"a\.bin: 3\.0 MiB, the limit is 2\.0; raise it"):
        read_file(path, DecodeLimits(max_bytes=2 * 2**20))


def test_file_that_is_not_as_long_as_it_says_is_refused():
    """So do files look that are written to at the moment; this one always does."""
    with pytest.raises(ImageError, match="it changed while it was read"):
        read_file("/proc/self/status")
