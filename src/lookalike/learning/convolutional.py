"""The convolutional body of self-encoders: from label map to code and back."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from lookalike.learning.recipes import Recipe

_WIDTH: Final = 48
_CODE_CHANNELS: Final = 32
"""Channels of the feature maps beside the linear layers."""
_LARGEST_SIDE: Final = 24
"""Side of those feature maps: half the grid, or less for large grids."""


def convolutional_body(
    input_dim: int, n_values: int, recipe: Recipe
) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder: few convolutions around two wide linear layers.

    The linear layers see every cell in its place. Deeper encoders with a smaller last feature map
    learned more slowly and lost small things.

    Args:
        input_dim: Length of the vector of each cell.
        n_values: Logits of each cell.
        recipe: Grid and length of the code.
    """
    side, n_halvings = _halve_sides(recipe.grid, _LARGEST_SIDE)
    down = [_halve(input_dim, _WIDTH)]
    down += [_halve(_WIDTH, _WIDTH) for _ in range(n_halvings - 1)]
    encoder = nn.Sequential(
        *down,
        _convolve(_WIDTH, _CODE_CHANNELS),
        nn.Flatten(),
        nn.Linear(_CODE_CHANNELS * side**2, recipe.code_dim),
    )
    return encoder, convolutional_decoder(n_values, recipe)


def convolutional_decoder(
    n_values: int, recipe: Recipe, largest_side: int = _LARGEST_SIDE
) -> nn.Module:
    """Return a decoder alone.

    Args:
        n_values: Logits of each cell.
        recipe: Grid and length of the code.
        largest_side: Of the first feature map, which has half the grid or less.
    """
    side, n_halvings = _halve_sides(recipe.grid, largest_side)
    return nn.Sequential(
        nn.Linear(recipe.code_dim, _CODE_CHANNELS * side**2),
        nn.Unflatten(1, (_CODE_CHANNELS, side, side)),
        nn.BatchNorm2d(_CODE_CHANNELS),
        nn.ReLU(),
        _convolve(_CODE_CHANNELS, _WIDTH),
        _Residual(_WIDTH),
        *[_double(_WIDTH) for _ in range(n_halvings - 1)],
        # Four logits per cell of half the grid: cheaper than any layer at the full grid.
        nn.Conv2d(_WIDTH, 4 * n_values, 3, 1, 1),
        nn.PixelShuffle(2),
    )


def _halve_sides(grid: int, largest_side: int) -> tuple[int, int]:
    """Return the side of the smallest feature map, and how often the grid is halved to it."""
    side, n_halvings = grid // 2, 1
    while side > largest_side:
        side, n_halvings = side // 2, n_halvings + 1
    return side, n_halvings


def _halve(n_in: int, n_out: int) -> nn.Module:
    convolution = nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


def _convolve(n_in: int, n_out: int) -> nn.Module:
    convolution = nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


def _double(width: int) -> nn.Module:
    convolution = nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.inner = nn.Sequential(_convolve(width, width), last, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.inner(x))
