"""How each kind of thing in a generated scene is drawn.

A sketch draws into a unit square, x to the right and y down; the tile it is drawn on gives it
proportions. Every kind varies in shape and, as far as nature allows, in color, so that color alone
does not tell what a thing is.
"""

import numpy as np

from lookalike.datasets.scene_pens import Pen
from lookalike.datasets.scene_textures import Color, mix, vary, vivid


def draw_sun(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A glowing disk."""
    core = vary(rng, (255, 232, 150), 12)
    pen.ellipse(0.5, 0.5, 0.5, 0.5, mix(core, (255, 190, 90), 0.5), glows=True)
    pen.ellipse(0.5, 0.5, 0.4, 0.4, core, glows=True)


def draw_moon(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A pale disk with craters."""
    core = vary(rng, (236, 234, 215), 12)
    pen.ellipse(0.5, 0.5, 0.5, 0.5, core, glows=True)
    for _ in range(4):
        x, y, r = rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75), rng.uniform(0.05, 0.12)
        pen.ellipse(x, y, r, r, mix(core, (150, 150, 150), 0.3), glows=True)


def draw_cloud(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """Puffs on a flat base, white above and gray below."""
    white = vary(rng, (240, 240, 244), 12)
    shade = mix(white, (150, 160, 185), 0.45)
    n_puffs = int(rng.integers(3, 6))
    puffs = []
    for i in range(n_puffs):
        x = 0.2 + 0.6 * i / (n_puffs - 1)
        bulge = 1 - abs(x - 0.5) * 1.2
        puffs.append(
            (x, rng.uniform(0.2, 0.26) * (0.7 + 0.4 * bulge), rng.uniform(0.3, 0.5) * bulge)
        )
    pen.rounded(0.02, 0.5, 0.98, 0.98, 0.2, shade)
    for x, rx, ry in puffs:
        pen.ellipse(x, 0.58, rx, ry, shade)
    for x, rx, ry in puffs:
        pen.ellipse(x, 0.5, rx * 0.92, ry * 0.85, white)


def draw_bird(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A round bird in flight, with one wing up."""
    base = vary(
        rng, [(60, 60, 70), (235, 235, 230), (150, 90, 60), (70, 100, 150)][rng.integers(4)]
    )
    wing = mix(base, (30, 30, 40), rng.uniform(0.2, 0.45))
    lift = rng.uniform(0.0, 0.18)
    pen.polygon([(0.0, 0.4), (0.02, 0.8), (0.3, 0.86), (0.3, 0.44)], wing)
    pen.ellipse(0.48, 0.64, 0.37, 0.32, base)
    pen.ellipse(0.79, 0.47, 0.17, 0.21, base)
    pen.polygon([(0.92, 0.38), (1.0, 0.49), (0.92, 0.58)], (235, 165, 50))
    pen.ellipse(0.84, 0.42, 0.025, 0.03, (20, 20, 20))
    pen.polygon([(0.3, 0.66), (0.66, 0.62), (0.5, lift), (0.24, lift + 0.08)], wing)


def draw_balloon(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A striped hot-air balloon with its basket."""
    first, second = vivid(rng), vivid(rng)
    pen.polygon([(0.12, 0.5), (0.88, 0.5), (0.6, 0.82), (0.4, 0.82)], first)
    pen.ellipse(0.5, 0.39, 0.49, 0.385, first)
    for x0, x1 in ((0.17, 0.34), (0.66, 0.83)):
        inward = 0.45 if x0 < 0.5 else 0.55
        pen.polygon([(x0, 0.16), (x1, 0.05), (x1, 0.6), (inward, 0.8), (x0, 0.62)], second)
    pen.ellipse(0.5, 0.39, 0.13, 0.385, second)
    pen.polygon([(0.42, 0.8), (0.58, 0.8), (0.6, 0.9), (0.4, 0.9)], mix(first, (40, 40, 40), 0.6))
    pen.rounded(0.36, 0.87, 0.64, 1.0, 0.04, vary(rng, (130, 90, 55)))


def draw_tree(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A conifer, or a tree with a round crown in the color of some season."""
    trunk = vary(rng, (105, 78, 55))
    if rng.random() < 0.35:
        needles = vary(rng, [(60, 110, 75), (75, 120, 60), (90, 125, 115)][rng.integers(3)])
        pen.box(0.42, 0.8, 0.58, 1.0, trunk)
        for i in range(3):
            top, bottom = 0.02 + 0.2 * i, 0.44 + 0.22 * i
            half = 0.28 + 0.11 * i
            dark = mix(needles, (20, 40, 40), 0.3 - 0.1 * i)
            pen.polygon([(0.5, top), (0.5 + half, bottom), (0.5 - half, bottom)], dark)
        return
    leaves = [(70, 125, 60), (95, 140, 70), (190, 120, 50), (175, 70, 50), (215, 160, 175)]
    crown = vary(rng, leaves[rng.choice(5, p=[0.38, 0.3, 0.14, 0.1, 0.08])])
    pen.polygon([(0.44, 0.55), (0.56, 0.55), (0.61, 1.0), (0.39, 1.0)], trunk)
    pen.ellipse(0.5, 0.38, 0.4, 0.34, mix(crown, (20, 30, 40), 0.3))
    for _ in range(7):
        x, y = rng.uniform(0.25, 0.75), rng.uniform(0.18, 0.55)
        r = rng.uniform(0.17, 0.25)
        pen.ellipse(x, y, r, r * 0.8, vary(rng, mix(crown, (20, 30, 40), 0.35 * y), 10))


def draw_house(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A house with a gable or hipped roof, a door and two windows, lit when it is dark."""
    wall = vary(rng, vivid(rng, (0.05, 0.4), (0.75, 0.97)))
    roof = vary(rng, [(165, 75, 55), (95, 85, 90), (120, 85, 60), (70, 95, 110)][rng.integers(4)])
    pane: Color = (255, 220, 130) if is_dark else vary(rng, (120, 150, 175))
    eaves = rng.uniform(0.34, 0.5)
    if rng.random() < 0.6:
        x = rng.choice((0.18, 0.7))
        pen.box(x, 0.06, x + 0.12, eaves, mix(roof, (40, 40, 40), 0.35))
    pen.box(0.06, eaves - 0.02, 0.94, 1.0, wall)
    ridge = rng.uniform(0.02, 0.32)
    pen.polygon([(0.0, eaves), (ridge, 0.03), (1 - ridge, 0.03), (1.0, eaves)], roof)
    pen.box(0.06, eaves, 0.94, eaves + 0.05, mix(wall, (30, 30, 50), 0.3))
    door = rng.uniform(0.36, 0.5)
    pen.box(door, 0.68, door + 0.16, 1.0, vary(rng, mix(roof, (60, 40, 30), 0.4)))
    for x in (0.14, 0.7):
        pen.box(x - 0.02, eaves + 0.13, x + 0.18, eaves + 0.37, mix(wall, (255, 255, 255), 0.6))
        draw = pen.window if is_dark and rng.random() < 0.8 else pen.box
        draw(x, eaves + 0.15, x + 0.16, eaves + 0.35, pane)


def draw_car(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A car from the side or from the front."""
    paint = vivid(rng, (0.0, 0.8), (0.35, 0.95))
    glass = vary(rng, (110, 135, 155))
    lamp: Color = (255, 240, 190)
    if rng.random() < 0.4:
        _car_from_front(pen, paint, glass, lamp)
        return
    back = rng.uniform(0.08, 0.3)
    pen.polygon([(back, 0.5), (back + 0.1, 0.06), (0.64, 0.06), (0.82, 0.5)], paint)
    pen.polygon([(back + 0.07, 0.46), (back + 0.14, 0.14), (0.42, 0.14), (0.42, 0.46)], glass)
    pen.polygon([(0.47, 0.46), (0.47, 0.14), (0.62, 0.14), (0.74, 0.46)], glass)
    pen.rounded(0.01, 0.42, 0.99, 0.84, 0.08, paint)
    pen.box(0.03, 0.68, 0.97, 0.8, mix(paint, (20, 20, 20), 0.3))
    draw = pen.window if is_dark else pen.box
    draw(0.92, 0.5, 0.99, 0.6, lamp)
    for x in (0.22, 0.78):
        pen.ellipse(x, 0.8, 0.115, 0.2, (35, 35, 38))
        pen.ellipse(x, 0.8, 0.05, 0.09, (165, 165, 170))


def _car_from_front(pen: Pen, paint: Color, glass: Color, lamp: Color) -> None:
    for x in (0.14, 0.72):
        pen.box(x, 0.8, x + 0.14, 1.0, (35, 35, 38))
    pen.polygon([(0.14, 0.5), (0.26, 0.08), (0.74, 0.08), (0.86, 0.5)], paint)
    pen.polygon([(0.22, 0.46), (0.31, 0.15), (0.69, 0.15), (0.78, 0.46)], glass)
    pen.rounded(0.07, 0.42, 0.93, 0.9, 0.08, paint)
    pen.box(0.3, 0.62, 0.7, 0.76, mix(paint, (20, 20, 20), 0.55))
    for x in (0.18, 0.82):
        pen.ellipse(x, 0.62, 0.07, 0.09, lamp, glows=True)


def draw_boat(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A sailing boat or a steamer."""
    hull = vivid(rng, (0.1, 0.8), (0.4, 0.95))
    if rng.random() < 0.6:
        sail = vary(rng, (238, 234, 222)) if rng.random() < 0.6 else vivid(rng, (0.2, 0.6))
        pen.box(0.47, 0.02, 0.52, 0.8, (95, 75, 60))
        pen.polygon([(0.53, 0.02), (0.56, 0.72), (0.95, 0.72)], sail)
        pen.polygon([(0.46, 0.1), (0.46, 0.72), (0.12, 0.72)], mix(sail, (90, 90, 110), 0.22))
    else:
        cabin = vary(rng, (230, 228, 220))
        pen.rounded(0.25, 0.42, 0.66, 0.85, 0.04, cabin)
        pen.box(0.3, 0.18, 0.4, 0.45, vivid(rng))
        draw = pen.window if is_dark else pen.box
        draw(0.3, 0.52, 0.6, 0.64, (255, 225, 150) if is_dark else (110, 140, 165))
    pen.polygon([(0.0, 0.74), (1.0, 0.7), (0.84, 1.0), (0.14, 1.0)], hull)
    pen.polygon(
        [(0.0, 0.74), (1.0, 0.7), (0.97, 0.78), (0.03, 0.8)], mix(hull, (255, 255, 255), 0.5)
    )


def draw_person(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A person in trousers or a skirt, standing or walking."""
    skin = vary(
        rng, [(235, 195, 165), (195, 145, 110), (130, 90, 65), (90, 62, 48)][rng.integers(4)]
    )
    hair = vary(
        rng, [(40, 32, 28), (110, 75, 45), (200, 165, 95), (150, 150, 150)][rng.integers(4)]
    )
    shirt, trousers = vivid(rng), vary(rng, vivid(rng, (0.1, 0.5), (0.25, 0.6)))
    pen.ellipse(0.5, 0.14, 0.28, 0.14, hair)
    if rng.random() < 0.35:
        pen.box(0.28, 0.78, 0.47, 1.0, skin)
        pen.box(0.53, 0.78, 0.72, 1.0, skin)
        pen.polygon([(0.3, 0.5), (0.7, 0.5), (0.9, 0.82), (0.1, 0.82)], trousers)
    else:
        stride = rng.uniform(0.0, 0.1)
        dark = mix(trousers, (20, 20, 30), 0.2)
        pen.polygon(
            [(0.24, 0.52), (0.53, 0.52), (0.5 - stride, 1.0), (0.22 - stride, 1.0)], trousers
        )
        pen.polygon([(0.47, 0.52), (0.76, 0.52), (0.78 + stride, 1.0), (0.5 + stride, 1.0)], dark)
    swing = rng.uniform(0.0, 0.06)
    sleeve = mix(shirt, (20, 20, 30), 0.15)
    pen.polygon([(0.22, 0.28), (0.36, 0.28), (0.24 - swing, 0.6), (0.06 - swing / 2, 0.58)], sleeve)
    pen.polygon([(0.78, 0.28), (0.64, 0.28), (0.76 + swing, 0.6), (0.94 + swing / 2, 0.58)], sleeve)
    pen.rounded(0.2, 0.26, 0.8, 0.6, 0.14, shirt)
    pen.ellipse(0.5, 0.17, 0.21, 0.11, skin)


def draw_dog(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A sturdy dog from the side, tail up."""
    coats = [(140, 95, 60), (55, 48, 45), (225, 200, 160), (190, 120, 65), (225, 225, 220)]
    coat = vary(rng, coats[rng.integers(5)])
    dark = mix(coat, (30, 20, 15), 0.35)
    pen.polygon([(0.06, 0.6), (0.0, 0.2), (0.14, 0.16), (0.3, 0.4)], coat)
    for x in (0.08, 0.46):
        pen.box(x + 0.14, 0.6, x + 0.3, 0.97, dark)
        pen.box(x, 0.6, x + 0.18, 1.0, coat)
    pen.rounded(0.04, 0.32, 0.78, 0.84, 0.14, coat)
    pen.polygon([(0.54, 0.5), (0.62, 0.16), (0.86, 0.3), (0.78, 0.66)], coat)
    pen.ellipse(0.76, 0.25, 0.18, 0.24, coat)
    pen.rounded(0.78, 0.2, 1.0, 0.44, 0.05, mix(coat, (255, 255, 255), 0.15))
    pen.polygon([(0.6, 0.04), (0.72, 0.06), (0.69, 0.42), (0.58, 0.36)], dark)
    pen.ellipse(0.97, 0.25, 0.03, 0.04, (25, 20, 20))


def draw_cow(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A cow from the side, with patches."""
    coat = vary(
        rng, [(235, 232, 225), (150, 95, 60), (60, 52, 50), (205, 170, 125)][rng.integers(4)]
    )
    patch = vary(rng, (50, 42, 40)) if coat[0] > 140 else vary(rng, (230, 225, 215))
    dark = mix(coat, (30, 25, 25), 0.3)
    for x in (0.08, 0.54):
        pen.box(x + 0.12, 0.6, x + 0.24, 0.98, dark)
        pen.box(x, 0.6, x + 0.13, 1.0, coat)
    pen.rounded(0.03, 0.16, 0.81, 0.8, 0.12, coat)
    for _ in range(3):
        x, y = rng.uniform(0.18, 0.66), rng.uniform(0.33, 0.6)
        pen.ellipse(x, y, rng.uniform(0.06, 0.13), rng.uniform(0.1, 0.17), patch)
    pen.polygon(
        [(0.68, 0.22), (0.82, 0.1), (0.97, 0.14), (1.0, 0.5), (0.9, 0.58), (0.72, 0.6)], coat
    )
    pen.rounded(0.87, 0.38, 1.0, 0.58, 0.04, (220, 170, 160))
    pen.polygon([(0.78, 0.18), (0.74, 0.0), (0.88, 0.12)], (225, 215, 190))
    pen.ellipse(0.89, 0.25, 0.02, 0.03, (20, 20, 20))


def draw_flower(pen: Pen, rng: np.random.Generator, is_dark: bool) -> None:
    """A flower with five to eight petals and two leaves."""
    petal, heart = vivid(rng, (0.4, 0.9), (0.75, 1.0)), vary(rng, (245, 205, 80))
    stem = vary(rng, (75, 130, 60))
    pen.box(0.42, 0.4, 0.58, 1.0, stem)
    pen.polygon([(0.5, 0.8), (0.1, 0.64), (0.22, 0.92), (0.5, 1.0)], stem)
    pen.polygon([(0.5, 0.8), (0.9, 0.66), (0.78, 0.94), (0.5, 1.0)], mix(stem, (20, 50, 20), 0.3))
    n_petals, turn = int(rng.integers(5, 9)), rng.uniform(0, 6.28)
    for i in range(n_petals):
        angle = turn + 6.2832 * i / n_petals
        x, y = 0.5 + 0.27 * np.cos(angle), 0.33 + 0.18 * np.sin(angle)
        pen.ellipse(x, y, 0.22, 0.15, vary(rng, petal, 8))
    pen.ellipse(0.5, 0.33, 0.18, 0.12, heart)
