"""What each cell of a picture holds, and codes that are linear in it.

A linear layer that reads a code from all features of all cells learns a thing anew in every place,
and few label maps teach it few things in few places. Here one small classifier tells, for every
cell alike, which share of it each class has, as in segmentation. A code that is linear in these
shares needs no learning to be read from them: whoever knows a cell to be a dog with a chance of one
half expects half of what a dog there adds to the code. (The code of a `linear` self-encoder.)
"""

from typing import Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from lookalike.arrays import VOID
from lookalike.learning.losses import Scalar

SIDE: Final = 8
"""Cells in a row."""
_EPSILON: Final = 1e-8
_HIDDEN: Final = 128
"""Channels between the feature map and the classes of a cell while the network learns."""


class CellShares(nn.Module):
    """Feature map → share of each label map value in each of 8 × 8 cells.

    While the network learns, a classifier with a hidden layer tells shares that sum to 1. After
    that they are fitted anew by ridge regression (`read_out.fit_shares`): the classifier has come
    to know the pictures it learned from by heart, the feature map far less.

    Args:
        n_channels: Channels of the feature map.
        n_values: Label map values, background first.

    Attributes:
        is_fitted: Whether the fitted shares are told.
        fitted: A linear map of the features of a cell; negative shares are 0.
    """

    def __init__(self, n_channels: int, n_values: int) -> None:
        super().__init__()
        self.dim = (n_values - 1) * SIDE**2
        self.is_fitted = False
        self.fitted = nn.Conv2d(n_channels, n_values, 1).requires_grad_(False)
        self.classify = nn.Sequential(
            nn.Conv2d(n_channels, _HIDDEN, 1, bias=False),
            nn.BatchNorm2d(_HIDDEN),
            nn.ReLU(),
            nn.Conv2d(_HIDDEN, n_values, 1),
        )

    def forward(
        self, feature_map: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch values side side"]:
        """Return the shares; while learning those of a cell sum to 1."""
        cells = average_cells(feature_map)
        if self.is_fitted:
            return functional.relu(self.fitted(cells)).float()
        shares: Tensor = self.classify(cells).float().softmax(dim=1)
        return shares


def average_cells(
    feature_map: Float[Tensor, "batch channels rows columns"],
) -> Float[Tensor, "batch channels side side"]:
    """Return the means over 8 × 8 equal areas, whatever the number of rows and columns."""
    down, across = (_areas(n, feature_map) for n in feature_map.shape[2:])
    averaged: Tensor = down @ feature_map @ across.T
    return averaged


def _areas(n: int, like: Tensor) -> Float[Tensor, "side n"]:
    """Which share of each of 8 equal lengths every one of `n` equal lengths is."""
    first, last = (torch.arange(SIDE)[:, None] + end for end in (0, 1))
    begin, end = (torch.arange(n)[None] * SIDE / n + end * SIDE / n for end in (0, 1))
    return (torch.minimum(last, end) - torch.maximum(first, begin)).clamp(min=0).to(like)


class ShareEncoder(nn.Module):
    """One-hot label map → code, linear in the shares of the classes in 8 × 8 cells.

    Background is nothing: an empty map has the code 0, and so has what is void.
    """

    def __init__(self, n_values: int, code_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear((n_values - 1) * SIDE**2, code_dim, bias=False)

    def forward(
        self, one_hot: Float[Tensor, "batch values grid grid"]
    ) -> Float[Tensor, "batch code_dim"]:
        """Return the code, of any scale."""
        shares = functional.avg_pool2d(one_hot, one_hot.shape[-1] // SIDE)
        code: Tensor = self.linear(shares[:, 1:].flatten(1))
        return code


class CommonScale(nn.Module):
    """Divides all numbers by their root mean square over the batch; afterwards by a running mean.

    Unlike a standardization of each dimension it keeps what is 0 and all angles.
    """

    square: Float[Tensor, ""]
    _MOMENTUM: Final = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("square", torch.ones(()))

    def forward(self, raw: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Return the scaled numbers."""
        if not self.training:
            return raw * self.factor
        square = raw.float().square().mean()
        with torch.no_grad():
            self.square.lerp_(square, self._MOMENTUM)
        return raw / (square + _EPSILON).sqrt()

    @property
    def factor(self) -> Float[Tensor, ""]:
        """What numbers are multiplied with when not training."""
        return (self.square + _EPSILON).rsqrt()


def map_shares(
    label_maps: UInt8[Tensor, "batch grid grid"], n_values: int
) -> Float[Tensor, "batch values side side"]:
    """Return the share of each value among the known cells of a label map in each of 8 × 8 areas.

    Those of an area sum to 1, or to 0 where all is void.

    Args:
        label_maps: Values below `n_values`, or `VOID`.
        n_values: Number of label map values.

    Example:
        >>> maps = torch.tensor([[1, 1], [0, 255]], dtype=torch.uint8).repeat(1, 8, 8)
        >>> map_shares(maps, n_values=2)[0, :, 0, 0]
        tensor([0.3333, 0.6667])
    """
    values = torch.where(label_maps == VOID, n_values, label_maps.long())
    one_hot = functional.one_hot(values, n_values + 1)[..., :n_values].movedim(-1, 1).float()
    shares = average_cells(one_hot)
    return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-6)


@torch.no_grad()
def map_similarities(
    label_maps: UInt8[Tensor, "batch grid grid"], n_values: int
) -> Float[Tensor, "batch batch"]:
    """Return how far each map agrees with each: the cosine of the shares in 8 × 8 cells.

    Background is no class and has no share. 1 for the same map, 0 where nothing of a class lies
    where the other has it, or where a map has no class at all. Smoother than mIoU, which it stands
    for: a thing moved by less than a cell still overlaps itself, and large things count more.

    Args:
        label_maps: Values below `n_values`, background first, or `VOID`.
        n_values: Number of label map values.

    Example:
        >>> maps = torch.tensor([[[1, 0], [0, 0]], [[1, 0], [0, 2]]], dtype=torch.uint8)
        >>> map_similarities(maps.repeat_interleave(4, 1).repeat_interleave(4, 2), n_values=3)
        tensor([[1.0000, 0.7071],
                [0.7071, 1.0000]])
    """
    shares = map_shares(label_maps, n_values)[:, 1:].flatten(1)
    unit = functional.normalize(shares, dim=1)
    return unit @ unit.T


def shares_loss(
    told: Float[Tensor, "batch values side side"], true: Float[Tensor, "batch values side side"]
) -> Scalar:
    """Cross-entropy `−Σ_c true_c ln told_c`, mean over the cells that are not void throughout."""
    per_cell = -(true * told.clamp(min=1e-6).log()).sum(dim=1)
    is_known = true.sum(dim=1) > 0
    return (per_cell * is_known).sum() / is_known.sum().clamp(min=1)
