"""Random views of a picture and, in the same place, of its label map.

One affine map per picture moves both; colors change in the picture alone. A mirrored picture has a
mirrored label map, whose code is another one: codes are computed from the view, never stored.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from lookalike.arrays import BACKGROUND, VOID


def random_views(n: int, smallest_crop: float, generator: Generator) -> Float[Tensor, "n 2 3"]:
    """Draw affine maps: a crop with sides between `smallest_crop` and 1, every other one mirrored.

    Height and width of the crop are drawn apart, which also changes the proportions a little. The
    crop never leaves the picture. Coordinates run from −1 to 1 over the picture.
    """
    sides = smallest_crop + (1 - smallest_crop) * torch.rand(n, 2, generator=generator)
    room = 1 - sides
    centers = room * (2 * torch.rand(n, 2, generator=generator) - 1)
    mirrored = torch.rand(n, generator=generator) < 0.5
    views = torch.zeros(n, 2, 3)
    views[:, 0, 0] = torch.where(mirrored, -sides[:, 0], sides[:, 0])
    views[:, 1, 1] = sides[:, 1]
    views[:, :, 2] = centers
    return views


def view_pixels(
    pixels: UInt8[Tensor, "batch height width 3"], views: Float[Tensor, "batch 2 3"], size: int
) -> Float[Tensor, "batch 3 size size"]:
    """Show pictures through `views`, bilinearly, values from 0 to 255."""
    images = pixels.permute(0, 3, 1, 2).float()
    cells = functional.affine_grid(views, [len(views), 3, size, size], align_corners=False)
    return functional.grid_sample(images, cells, padding_mode="border", align_corners=False)


def shrink_images(
    images: Float[Tensor, "batch 3 side side"], size: int
) -> Float[Tensor, "batch 3 size size"]:
    """Return images at a smaller size, antialiased; those of that size as they are."""
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True)


def view_label_maps(
    label_maps: UInt8[Tensor, "batch height width"], views: Float[Tensor, "batch 2 3"], grid: int
) -> UInt8[Tensor, "batch grid grid"]:
    """Show label maps through `views`: classes are never mixed.

    Each cell takes the most frequent of the values nearest to four points of it; on equal votes
    the lower class wins, and any class wins over background.
    """
    values = label_maps.unsqueeze(1).float()
    points = functional.affine_grid(views, [len(views), 1, 2 * grid, 2 * grid], align_corners=False)
    shown = functional.grid_sample(
        values, points, mode="nearest", padding_mode="border", align_corners=False
    )
    four = functional.pixel_unshuffle(shown.to(torch.uint8), 2)
    return _most_frequent(four)


def _most_frequent(
    four: UInt8[Tensor, "batch 4 grid grid"],
) -> UInt8[Tensor, "batch grid grid"]:
    """Count without counting: in sorted values equal ones are neighbors; void has no vote."""
    a, b, c, d = four.sort(dim=1).values.unbind(dim=1)
    is_first_pair = (a == b) & ((a != BACKGROUND) | (c != d) | (c == VOID))
    is_last_pair = (c == d) & (c != VOID) & ~is_first_pair
    lowest = torch.where((a == BACKGROUND) & (b != VOID) & ~is_first_pair, b, a)
    winner = torch.where(is_last_pair, c, lowest)
    return torch.where((b == c) & (b != VOID), b, winner)


def mix_images(
    images: Float[Tensor, "batch 3 height width"], n: int, generator: Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Lay over each of the first `n` images another one of the batch, with 0.3 to 0.7 of each.

    What such a picture shows only a teacher can say, but it can say it of any: more pictures to
    teach by than there are (Zhang and others, *mixup*, ICLR 2018; Beyer and others, CVPR 2022).
    """
    if n == 0:
        return images
    draws = torch.rand(n, 1, 1, 1, generator=generator).to(images.device)
    share = 0.3 + 0.4 * draws
    others = images.roll(1, dims=0)[:n]
    return torch.cat([share * images[:n] + (1 - share) * others, images[n:]])


def jitter_colors(
    images: Float[Tensor, "batch 3 height width"], strength: float, generator: Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Change brightness, contrast, saturation and tint of each picture at random.

    Each factor lies in `1 ± strength` (tint: a third of it, per channel); values stay in 0 to 255.
    """
    n = len(images)
    draws = 2 * torch.rand(n, 6, 1, 1, generator=generator).to(images.device) - 1
    brightness, contrast, saturation = (1 + strength * draws[:, i : i + 1] for i in range(3))
    tint = 1 + strength / 3 * draws[:, 3:6]
    gray = images.mean(dim=1, keepdim=True)
    saturated = gray + saturation * (images - gray)
    middle = gray.mean(dim=(2, 3), keepdim=True)
    contrasted = middle + contrast * (saturated - middle)
    return (contrasted * brightness * tint).clamp(0, 255)
