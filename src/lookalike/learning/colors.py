"""The colors of a picture as a target and as a layer: histograms under the Hellinger kernel."""

from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

_BINS: Final = (8, 4, 4)
_REDUCTION: Final = 4
"""Pixels are averaged over squares of this side first: finer grain says nothing of themes."""
_HIDDEN: Final = 48

N_BINS: Final = 128
"""Length of `color_histogram`."""


def color_histogram(
    images: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch bins"]:
    """Return the square roots of the shares of 8 × 4 × 4 bins of hue, saturation and value.

    Rows have length 1, and their inner product is the Bhattacharyya coefficient of the histograms
    (Arandjelović and Zisserman, *Three things everyone should know to improve object retrieval*,
    CVPR 2012, use the same root for SIFT). Without the root a large plain area outweighs the rest.

    Args:
        images: RGB, values from 0 to 255.
    """
    smaller = functional.avg_pool2d(images, _REDUCTION)
    bins = _bins(smaller.flatten(2) / 255)
    counts = torch.zeros(len(images), N_BINS, device=images.device)
    counts.scatter_add_(1, bins, torch.ones_like(bins, dtype=counts.dtype))
    return (counts / bins.shape[1]).sqrt()


def _bins(colors: Float[Tensor, "batch 3 pixels"]) -> Int64[Tensor, "batch pixels"]:
    """Number the bin of each color; hue, saturation and value as in the hexcone (Smith, 1978)."""
    red, green, blue = colors.unbind(dim=1)
    value, lowest = colors.amax(dim=1), colors.amin(dim=1)
    chroma = value - lowest
    safe = chroma.clamp(min=1e-6)
    hue = torch.where(
        value == red,
        (green - blue) / safe % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = torch.where(chroma > 1e-6, hue / 6, 0.0)
    parts = (hue, chroma / value.clamp(min=1e-6), value)
    bins = torch.zeros_like(hue, dtype=torch.int64)
    for part, n in zip(parts, _BINS, strict=True):
        bins = bins * n + (part * n).long().clamp(0, n - 1)
    return bins


class LearnedPalette(nn.Module):
    """A soft histogram whose bins are learned: how much of the picture has each kind of color.

    `sqrt(mean over pixels of softmax(MLP(color)))`. Deep feature maps lose plain color; this gives
    it to `content` at less than a hundredth of the network's arithmetic.

    Attributes:
        n_channels: Number of bins.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        layers = nn.Conv2d(3, _HIDDEN, 1), nn.Conv2d(_HIDDEN, n_channels, 1)
        self.bins = nn.Sequential(layers[0], nn.ReLU(), layers[1])
        # Colors vary by about 1 after normalization; bins must start narrower than that.
        with torch.no_grad():
            for layer in layers:
                layer.weight.mul_(3.0)

    def forward(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch channels"]:
        """Return the root of the share of each bin, for images with values around 0."""
        logits = self.bins(functional.avg_pool2d(images, _REDUCTION))
        shares = logits.float().softmax(dim=1).mean(dim=(2, 3))
        root: Tensor = (shares + 1e-6).sqrt()
        return root
