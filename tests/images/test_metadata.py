"""What is read of a camera's notes, and above all what is not."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from lookalike.images.decoding import DEFAULT_LIMITS, decode
from lookalike.images.metadata import LONGEST
from lookalike.images.worker_process import decode_file

Base = ExifTags.Base


def photo(main=(), detail=(), place=(), format_="JPEG", exif=None) -> bytes:
    block = Image.Exif()
    block.update(dict(main))
    block.get_ifd(ExifTags.IFD.Exif).update(dict(detail))
    block.get_ifd(ExifTags.IFD.GPSInfo).update(dict(place))
    data = io.BytesIO()
    picture = Image.fromarray(np.zeros((8, 12, 3), np.uint8))
    picture.save(data, format_, exif=block.tobytes() if exif is None else exif)
    return data.getvalue()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_camera_tells_when_and_how(format_):
    data = photo(
        {Base.Make: "Canon", Base.Model: "Canon EOS 5D", Base.ImageDescription: "A  beach\n"},
        {
            Base.DateTimeOriginal: "2024:05:31 14:30:00",
            Base.ISOSpeedRatings: 800,
            Base.FNumber: IFDRational(28, 10),
            Base.ExposureTime: IFDRational(1, 250),
            Base.FocalLength: IFDRational(50, 1),
            Base.LensModel: "EF 50mm",
        },
        {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)},
        format_,
    )
    assert decode(data).metadata == {
        "taken": "2024-05-31T14:30:00",
        "camera": "Canon EOS 5D",
        "lens": "EF 50mm",
        "iso": "800",
        "aperture": "2.8",
        "exposure": "0.004",
        "focal-length": "50",
        "description": "A beach",
    }


def test_maker_and_model_are_one_name():
    assert decode(photo({Base.Make: "Nikon", Base.Model: "D90"})).metadata == {
        "camera": "Nikon D90"
    }


@pytest.mark.parametrize(
    ("main", "detail"),
    [
        ({}, {Base.DateTimeOriginal: "0000:00:00 00:00:00"}),
        ({}, {Base.DateTimeOriginal: "yesterday"}),
        ({}, {Base.FNumber: IFDRational(1, 0)}),
        ({Base.Model: "\0\0\x1b "}, {}),
        ({}, {}),
    ],
)
def test_what_means_nothing_is_left_out(main, detail):
    assert decode(photo(main, detail)).metadata == {}


def test_long_texts_are_cut():
    found = decode(photo({Base.ImageDescription: "x" * 1000})).metadata
    assert found == {"description": "x" * LONGEST}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", range(6, 120, 9))
def test_damaged_notes_lose_no_picture(n):
    good = Image.Exif()
    good.update({Base.Model: "D90"})
    good.get_ifd(ExifTags.IFD.Exif).update({Base.DateTimeOriginal: "2024:05:31 14:30:00"})
    block = bytearray(good.tobytes())
    block[n % len(block)] ^= 0xFF
    assert decode(photo(exif=bytes(block))).width in (8, 12)


def test_a_worker_passes_them_on(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(photo({Base.Model: "D90"}))
    outcome = decode_file(bytes(path), (4, 4), DEFAULT_LIMITS)
    assert outcome.metadata == {"camera": "D90"}
