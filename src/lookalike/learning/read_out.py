"""The last step of learning codes by shares: what cells hold, by ridge regression.

A classifier of cells that learned together with the trunk knows its few label maps by heart. The
features that it read were mostly taught by other things, and by thousands of pictures; a linear map
of them with a penalty, solved in closed form, tells the cells of new pictures better.
"""

from typing import Final

import torch
from jaxtyping import Float64
from torch import Tensor

from lookalike.learning.augmentation import view_label_maps
from lookalike.learning.cell_shares import CellShares, average_cells, map_shares
from lookalike.learning.network import Network
from lookalike.learning.stages import Material, view_images, whole_views

_BATCH: Final = 64
PENALTY: Final = 0.03
"""Of standardized features, as a share of the number of cells."""


class Sums:
    """Weighted sums over cells, all that ridge regression needs: memory does not grow with them."""

    def __init__(self, n_features: int, n_values: int) -> None:
        self.squares = torch.zeros(n_features + 1, n_features + 1, dtype=torch.float64)
        self.products = torch.zeros(n_features + 1, n_values, dtype=torch.float64)

    def add(
        self,
        features: Float64[Tensor, "cells features"],
        wanted: Float64[Tensor, "cells values"],
        weights: Float64[Tensor, " cells"],
    ) -> None:
        """Count some cells."""
        given = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
        weighted = (given * weights[:, None]).T
        self.squares += weighted @ given
        self.products += weighted @ wanted

    def solve(
        self, penalty: float
    ) -> tuple[Float64[Tensor, "features values"], Float64[Tensor, " values"]]:
        """Return slopes and intercepts; those of standardized features are drawn to 0."""
        total = self.squares[-1, -1].clamp(min=1e-12)
        mean, wanted_mean = self.squares[-1, :-1] / total, self.products[-1] / total
        covariance = self.squares[:-1, :-1] / total - mean[:, None] * mean
        deviation = covariance.diagonal().clamp(min=1e-12).sqrt()
        correlation = covariance / deviation[:, None] / deviation
        shared = (self.products[:-1] / total - mean[:, None] * wanted_mean) / deviation[:, None]
        kept = correlation + penalty * torch.eye(len(mean), dtype=torch.float64)
        slopes = torch.linalg.solve(kept, shared) / deviation[:, None]
        return slopes, wanted_mean - mean @ slopes


@torch.no_grad()
def fit_shares(network: Network, shares: CellShares, material: Material) -> None:
    """Fit what cells hold over whole pictures and their mirror images, at the size that is shown.

    Pictures count as often as a pass shows them, cells as far as they are not void.

    Args:
        network: Its trunk is left as it is.
        shares: Of that network; tells the fitted shares from now on.
        material: What is learned from.
    """
    network.eval()
    positions, times = torch.unique(material.mapped_positions(), return_counts=True)
    sums = Sums(shares.fitted.in_channels, shares.fitted.out_channels)
    for block, weights in zip(positions.split(_BATCH), times.split(_BATCH), strict=True):
        for is_mirrored in (False, True):
            _add_pictures(sums, network, material, block, weights, is_mirrored=is_mirrored)
    slopes, intercepts = sums.solve(PENALTY)
    shares.fitted.weight.copy_(slopes.T[:, :, None, None])
    if shares.fitted.bias is not None:
        shares.fitted.bias.copy_(intercepts)
    shares.is_fitted = True


def _add_pictures(
    sums: Sums,
    network: Network,
    material: Material,
    positions: Tensor,
    times: Tensor,
    *,
    is_mirrored: bool,
) -> None:
    recipe, device = material.recipe, material.device
    views = whole_views(len(positions), is_mirrored=is_mirrored)
    images = view_images(
        material, positions, views, torch.Generator(), jitter=0.0, size=recipe.input_size
    )
    with device.autocast():
        feature_map = network.backbone(network.normalize(images))
    label_maps = material.pictures.take_label_maps(positions).to(device.name)
    shown = view_label_maps(label_maps, views.to(device.name), recipe.grid)
    true = map_shares(shown, sums.products.shape[1])
    known = true.sum(dim=1).flatten().double().cpu()
    weights = known * times.double().repeat_interleave(true[0, 0].numel())
    sums.add(_rows(average_cells(feature_map.float())), _rows(true), weights)


def _rows(maps: Tensor) -> Tensor:
    """Cells of all pictures below each other."""
    return maps.movedim(1, -1).flatten(0, -2).double().cpu()
