"""Parts of pictures: where they are cut, and that they are sharp."""

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.images.decoding import decode, stretch
from tests.images.painted import encoded, noise, shaded

BOX = (10.0, 4.0, 12.0, 9.0)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def upright(data):
    return decode(data).pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_cut_from_the_upright_picture(orientation):
    data = encoded(noise(37, 23), "PNG", exif=exif(orientation))
    whole = upright(data)
    part = decode(data, (9, 12), box=BOX)
    np.testing.assert_array_equal(part.pixels, whole[4:13, 10:22])
    assert (part.width, part.height) == (whole.shape[1], whole.shape[0])


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_box_of_a_jpeg_lies_where_it_does_in_the_whole(orientation):
    """On a slope, a shift by a pixel of the source would change every value by as much."""
    data = encoded(shaded(1033, 1025), "JPEG", quality=100, subsampling=0, exif=exif(orientation))
    whole = Image.fromarray(upright(data))
    box = (300.0, 210.0, 512.0, 480.0)
    expected = whole.resize((60, 64), Image.Resampling.BILINEAR, box=(300, 210, 812, 690))
    found = decode(data, (64, 60), box=box).pixels.astype(int)
    assert np.abs(found - np.asarray(expected).astype(int)).mean() < 0.6


def test_a_small_box_of_a_jpeg_is_decoded_at_full_scale():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    data = encoded(Image.fromarray(stripes), "JPEG", quality=98, subsampling=0)
    part = decode(data, (64, 64), box=(128.0, 128.0, 64.0, 64.0)).pixels
    np.testing.assert_allclose(part.astype(int), stripes[128:192, 128:192].astype(int), atol=30)
    assert decode(data, (64, 64)).pixels.std() < 15  # the whole picture shows gray


def test_the_last_pixel_can_be_cut():
    data = encoded(shaded(1031, 257), "JPEG", quality=90)
    assert decode(data, (8, 8), box=(0.0, 0.0, 1031.0, 257.0)).pixels.shape == (8, 8, 3)
    assert decode(data, (8, 8), box=(1030.0, 256.0, 1.0, 1.0)).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize(
    "box", [(30.0, 0.0, 12.0, 5.0), (-1.0, 0.0, 9.0, 5.0), (0.0, 0.0, 0.5, 5.0), (0, 20, 5, 4)]
)
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_a_box_outside_the_picture_is_refused_with_its_size(box, format_):
    box = tuple(map(float, box))
    with pytest.raises(UsageError, match=r"which is 37 pixels wide and 23 high"):
        decode(encoded(noise(37, 23), format_), (8, 8), box=box)
    with pytest.raises(UsageError, match=r"which is 37 pixels wide and 23 high"):
        stretch(np.asarray(noise(37, 23)), (8, 8), box)


def test_a_box_needs_a_size():
    with pytest.raises(UsageError, match="needs a size"):
        decode(encoded(noise(37, 23), "PNG"), box=BOX)


def test_a_decoded_picture_is_cut_like_a_file():
    picture = noise(37, 23)
    from_file = decode(encoded(picture, "PNG"), (16, 16), box=BOX).pixels
    np.testing.assert_array_equal(stretch(np.asarray(picture), (16, 16), BOX), from_file)
