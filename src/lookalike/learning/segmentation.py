"""An auxiliary segmentation head, and label maps pooled over coarse cells.

Both stand beside self-encoding in experiments: what does a learned code bring that a plain one, or
the label map itself, does not?
"""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

POOLED_SIDE: Final = 8
"""Label maps are averaged over so many cells down and across."""
_CHANNELS: Final = 128
_LEAST: Final = 1e-4
"""Smallest share whose logarithm is taken: interpolated shares may be 0 or a little below."""


class SegmentationHead(nn.Module):
    """Predicts the label map of a picture, as a fully convolutional network does.

    The pooled probabilities are a descriptor of the layout: the direct competitor of a learned
    code.

    References:
        J. Long, E. Shelhamer, T. Darrell, *Fully Convolutional Networks for Semantic
        Segmentation*, CVPR 2015; R. Furuta, N. Inoue, T. Yamasaki, *Efficient and Interactive
        Spatial-Semantic Image Retrieval*, MMM 2018 (retrieval by class-probability maps).

    Attributes:
        mean: Mean of the pooled label maps of the training set, subtracted from the code.
        deviation: What the code is divided by.
    """

    mean: Float[Tensor, " code_dim"]
    deviation: Float[Tensor, " code_dim"]

    def __init__(self, n_channels: int, side: int, n_values: int, grid: int) -> None:
        super().__init__()
        self.side, self.grid = side, grid
        self.features = nn.Sequential(
            nn.Conv2d(n_channels, _CHANNELS, 3, 1, 1, bias=False),
            nn.BatchNorm2d(_CHANNELS),
            nn.ReLU(),
        )
        # Four logits per cell of the feature map, as it is coarser than the label map.
        self.logits = nn.Sequential(nn.Conv2d(_CHANNELS, 4 * n_values, 1), nn.PixelShuffle(2))
        code_dim = n_values * POOLED_SIDE**2
        self.register_buffer("mean", torch.zeros(code_dim))
        self.register_buffer("deviation", torch.ones(code_dim))

    def forward(
        self, feature_map: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch values grid grid"]:
        """Return the logits of all label map values in each cell."""
        coarse = self.logits(self.features(feature_map)).float()
        return functional.interpolate(
            coarse, size=(self.grid, self.grid), mode="bilinear", align_corners=False
        )

    def code(
        self, map_logits: Float[Tensor, "batch values grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the probabilities averaged over coarse cells, centered and scaled."""
        shares = functional.avg_pool2d(map_logits.softmax(dim=1), self.grid // POOLED_SIDE)
        return (shares.flatten(1) - self.mean) / self.deviation

    @torch.no_grad()
    def rescale(
        self, mean: Float[Tensor, " code_dim"], deviation: Float[Tensor, " code_dim"]
    ) -> None:
        """Give `(code − mean) / deviation` from now on."""
        self.mean.add_(self.deviation * mean)
        self.deviation.mul_(deviation)


class SharesToLogits(nn.Module):
    """Shares of values in coarse cells → logits in the cells of the grid."""

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid

    def forward(
        self, shares: Float[Tensor, "batch values side side"]
    ) -> Float[Tensor, "batch values grid grid"]:
        """Interpolate bilinearly and take logarithms."""
        fine = functional.interpolate(
            shares, size=(self.grid, self.grid), mode="bilinear", align_corners=False
        )
        return fine.clamp(min=_LEAST).log()
