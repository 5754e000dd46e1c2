import io

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.fft import dctn

from benchmarks.alterations import ALTERATIONS, mirrored_copy
from lookalike.images.decoding import decode
from lookalike.images.perceptual_hash import N_BITS, Fingerprint, fingerprint, mirrored

SIDE = 96
GOLDEN = "e6d38b315ffcb646de2c66ca25850e1b"
HARMLESS = sorted(set(ALTERATIONS) - {"white border", "rotated by 2 degrees", "10 % cropped"})


def clouds(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """A picture with structure of all sizes, in color."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize(size, 3)
        for n in (3, 6, 12)
    ]
    mean = np.mean([np.asarray(layer, float) for layer in layers], axis=0)
    return Image.fromarray(np.clip(128 + 1.6 * (mean - 128), 0, 255).astype(np.uint8))


def print_of(data: bytes) -> Fingerprint:
    return fingerprint(decode(data, (SIDE, SIDE)).pixels)


def bits_of(*prints: Fingerprint) -> np.ndarray:
    return np.stack([np.frombuffer(print_.bits, np.uint8) for print_ in prints])


def n_differing(a: Fingerprint, b: Fingerprint) -> int:
    return int(np.bitwise_count(np.bitwise_xor(*bits_of(a, b))).sum())


def test_the_hash_is_what_it_was():
    assert fingerprint(np.asarray(clouds(1))).bits.hex() == GOLDEN


def test_frequencies_are_those_of_the_cosine_transform():
    gray = clouds(2).convert("L").resize((32, 32), Image.Resampling.BOX)
    spectrum = dctn(np.asarray(gray, float), norm="ortho")
    places = sorted(np.ndindex(32, 32), key=lambda uv: (uv[0] ** 2 + uv[1] ** 2, *uv))[1:65]
    expected = np.array([spectrum[place] > 0 for place in places])
    found = np.unpackbits(bits_of(fingerprint(np.asarray(clouds(2))))[0])
    assert (found[:64] == expected).all()


def test_differences_are_those_of_neighbors():
    cells = np.random.default_rng(3).permutation(72).reshape(8, 9) * 3
    pixels = np.repeat(np.kron(cells, np.ones((8, 8))).astype(np.uint8)[..., None], 3, axis=2)
    found = np.unpackbits(bits_of(fingerprint(pixels))[0])[64:].reshape(8, 8)
    assert (found == (cells[:, :-1] > cells[:, 1:])).all()


@pytest.mark.parametrize("name", HARMLESS)
def test_altered_copies_differ_in_few_bits(name):
    for seed in range(5):
        picture = clouds(seed, (160, 120))
        assert n_differing(print_of(ALTERATIONS[name](picture)), print_of(_png(picture))) <= 20


def test_other_pictures_differ_in_many():
    prints = [fingerprint(np.asarray(clouds(seed))) for seed in range(30)]
    apart = [n_differing(a, b) for n, a in enumerate(prints) for b in prints[:n]]
    assert min(apart) > 35
    assert np.mean(apart) == pytest.approx(N_BITS / 2, abs=4)


def test_the_mirrored_hash_is_that_of_the_mirrored_picture():
    for seed in range(5):
        picture = clouds(seed)
        seen = fingerprint(np.asarray(picture)[:, ::-1])
        derived = mirrored(bits_of(fingerprint(np.asarray(picture))))
        assert int(np.bitwise_count(derived ^ bits_of(seen)).sum()) <= 2  # equal neighbors
        saved = mirrored(bits_of(print_of(mirrored_copy(picture))))
        assert int(np.bitwise_count(saved ^ bits_of(fingerprint(np.asarray(picture)))).sum()) <= 12


def test_mirroring_twice_changes_nothing():
    hashes = np.random.default_rng(0).integers(0, 256, (50, 16), np.uint8)
    assert (mirrored(mirrored(hashes)) == hashes).all()
    assert (mirrored(hashes) != hashes).any(axis=1).all()


def test_pictures_without_structure_are_plain():
    noise = np.random.default_rng(0).integers(100, 108, (SIDE, SIDE, 3), np.uint8)
    assert fingerprint(noise).is_plain
    assert fingerprint(np.full((SIDE, SIDE, 3), 200, np.uint8)).contrast == 0
    assert not fingerprint(np.asarray(clouds(0))).is_plain


def test_blur_costs_sharpness():
    picture = clouds(4)
    blurred = picture.filter(ImageFilter.GaussianBlur(2))
    sharp, soft = (fingerprint(np.asarray(p)).sharpness for p in (picture, blurred))
    assert soft < 0.6 * sharp
    assert fingerprint(np.zeros((2, 2, 3), np.uint8)).sharpness == 0


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
