"""From a feature map to `content`, which labels are read from, and to what the code is read from.

There are three ways, one for each kind of backbone: `PooledContent` and `CellFeatures` for those
that end in a feature map, the dense layers or the mean of a published network, and a projection of
the one vector that an external encoder may give.
"""

from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import UsageError
from lookalike.learning.colors import LearnedPalette
from lookalike.learning.published_networks import start_by_he

_LABEL_CHANNELS: Final = 256
"""Channels that are pooled over the whole picture for `content`."""
_CODE_CHANNELS: Final = 48
"""Channels kept in each cell before all cells are joined for the code."""
_HIDDEN: Final = 512
"""Units between the vector of an external encoder and the code."""


@runtime_checkable
class Content(Protocol):
    """A module that makes `content` of a feature map.

    Attributes:
        dim: Length of `content`.
        read_outs: Its linear layers that are trained apart from other matrices.
        layers: Its layers that can be pre-trained in turn, bottom first.
    """

    dim: int

    @property
    def read_outs(self) -> tuple[nn.Linear, ...]:
        """Linear layers that are trained apart."""
        ...

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """Layers that are pre-trained in turn."""
        ...

    def __call__(
        self, feature_map: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch content_dim"]:
        """Return `content`, not yet of unit length."""
        ...


class PooledContent(nn.Module):
    """Mean and maximum over the picture of channels made for labels, projected.

    Args:
        n_channels: Channels of the feature map.
        dim: Length of `content`.
        palette: A learned histogram of the colors of the picture, which is projected with them.
    """

    def __init__(self, n_channels: int, dim: int, palette: LearnedPalette | None = None) -> None:
        super().__init__()
        self.dim = dim
        self.palette = palette
        self.label_features = _convolve(n_channels, _LABEL_CHANNELS)
        n_bins = 0 if palette is None else palette.n_channels
        self.linear = nn.Linear(2 * _LABEL_CHANNELS + n_bins, dim, bias=False)
        self.norm = nn.BatchNorm1d(dim)
        self.read_outs = (self.linear,)
        self.layers: tuple[nn.Module, ...] = ()

    def forward(
        self,
        feature_map: Float[Tensor, "batch channels side side"],
        normalized: Float[Tensor, "batch 3 size size"] | None = None,
    ) -> Float[Tensor, "batch content_dim"]:
        """Return `content`; with a palette the picture is needed too, with values around 0.

        Raises:
            UsageError: If it is not given.
        """
        features = self.label_features(feature_map)
        # The mean tells how much there is of something, the maximum that there is a little.
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        if self.palette is not None:
            if normalized is None:
                raise UsageError("content with a palette reads the picture too; give normalized")
            pooled = torch.cat([pooled, self.palette(normalized).to(pooled.dtype)], dim=1)
        content: Tensor = self.norm(self.linear(pooled))
        return content


class DenseContent(nn.Module):
    """fc6 and fc7 of a published network, with ReLU and dropout after each; `content` is fc7.

    Args:
        n_inputs: Numbers in the feature map.
        width: Units of fc6.
        dim: Units of fc7; 4096 as published. Chatfield and others, 2014, also trained CNN-M with
            2048, 1024 and 128.
    """

    def __init__(self, n_inputs: int, width: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        fc6, fc7 = nn.Linear(n_inputs, width), nn.Linear(width, dim)
        self.fc6 = nn.Sequential(nn.Flatten(), fc6, nn.ReLU())
        self.fc7 = nn.Sequential(fc7, nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.read_outs = (fc6, fc7)
        self.layers = (self.fc6, self.fc7)
        start_by_he(self)

    def forward(
        self, feature_map: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch content_dim"]:
        """Return `content`; while training some of it is dropped."""
        content: Tensor = self.dropout(self.fc7(self.dropout(self.fc6(feature_map))))
        return content


class AveragedContent(nn.Module):
    """The mean over the picture, which NIN has in place of dense layers.

    NIN averages the scores of its last 1×1 convolution. As that is linear, the scores of the
    average are the same numbers. Its released model puts a ReLU between the two; here there is
    none, since a score below zero is what says that a label is absent.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.dim = n_channels
        self.read_outs: tuple[nn.Linear, ...] = ()
        self.layers: tuple[nn.Module, ...] = ()

    def forward(
        self, feature_map: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch content_dim"]:
        """Return `content`."""
        return feature_map.mean(dim=(2, 3))


class ProjectedContent(nn.Module):
    """A linear projection of the one vector that an external encoder gives, standardized."""

    def __init__(self, n_channels: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear = nn.Linear(n_channels, dim, bias=False)
        self.norm = nn.BatchNorm1d(dim)
        self.read_outs = (self.linear,)
        self.layers: tuple[nn.Module, ...] = ()

    def forward(
        self, feature_map: Float[Tensor, "batch channels 1 1"]
    ) -> Float[Tensor, "batch content_dim"]:
        """Return `content`."""
        content: Tensor = self.norm(self.linear(feature_map.flatten(1)))
        return content


class CellFeatures(nn.Module):
    """Few channels of every cell in its place: the code says where.

    Args:
        n_channels: Channels of the feature map.
        side: Cells in a row of it, as learned.
        shrinks: Whether larger feature maps are given too, and shrunk to that many cells.
    """

    def __init__(self, n_channels: int, side: int, *, shrinks: bool = False) -> None:
        super().__init__()
        self.side, self.shrinks = side, shrinks
        self.dim = _CODE_CHANNELS * side**2
        self.features = nn.Sequential(_convolve(n_channels, _CODE_CHANNELS), nn.Flatten())

    def forward(
        self, feature_map: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch features"]:
        """Return what the code is read from."""
        convolve, flatten = self.features
        cells = convolve(feature_map)
        if self.shrinks:
            cells = functional.interpolate(cells, size=(self.side, self.side), mode="bilinear")
        features: Tensor = flatten(cells)
        return features


class VectorFeatures(nn.Module):
    """A hidden layer between the vector of an external encoder and the code."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.dim = _HIDDEN
        linear = nn.Linear(n_channels, _HIDDEN, bias=False)
        self.features = nn.Sequential(nn.Flatten(), linear, nn.BatchNorm1d(_HIDDEN), nn.ReLU())

    def forward(
        self, feature_map: Float[Tensor, "batch channels 1 1"]
    ) -> Float[Tensor, "batch features"]:
        """Return what the code is read from."""
        features: Tensor = self.features(feature_map)
        return features


def _convolve(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())
