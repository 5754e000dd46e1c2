"""A backbone that is its layers, one after the other."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn


class Chain(nn.Module):
    """Layers in a row, from pixels to a feature map.

    Args:
        layers: Bottom first.
        n_channels: Channels of the feature map.
        side: Height and width of the feature map.
    """

    def __init__(self, layers: Iterable[nn.Module], n_channels: int, side: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.n_channels, self.side = n_channels, side

    def forward(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Return the feature map of images with values around 0."""
        feature_map: Tensor = images
        for layer in self.layers:
            feature_map = layer(feature_map)
        return feature_map
