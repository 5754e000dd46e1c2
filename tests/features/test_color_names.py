import numpy as np
import pytest

from lookalike.features.color_names import BASIC_COLORS, color_shares


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ((0, 0, 0), "black"),
        ((20, 20, 25), "black"),
        ((250, 250, 250), "white"),
        ((128, 128, 128), "gray"),
        ((220, 20, 60), "red"),
        ((255, 140, 0), "orange"),
        ((255, 230, 50), "yellow"),
        ((34, 139, 34), "green"),
        ((65, 105, 225), "blue"),
        ((135, 206, 235), "blue"),
        ((128, 0, 128), "purple"),
        ((255, 182, 193), "pink"),
        ((101, 67, 33), "brown"),
    ],
)
def test_a_plain_color_has_the_name_that_people_give_it(color, name):
    assert color_shares(np.full((4, 4, 3), color, np.uint8)) == ((name, 1.0),)


def test_shares_are_those_of_the_picture_and_small_ones_are_left_out():
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[:6] = (20, 60, 220)
    picture[6:9] = (255, 255, 255)
    picture[9, :4] = (220, 20, 20)
    assert color_shares(picture) == (("blue", 0.6), ("white", 0.3), ("black", 0.06))


def test_there_are_the_eleven_basic_terms():
    assert len(BASIC_COLORS) == len(set(BASIC_COLORS)) == 11
