"""The fully connected body of self-encoders: one hidden layer as published, or several.

`h_1 = σ(W_1 x + p_1)`, and so on up to the code; back down with weights of its own, or with the
transposed ones of the encoder.
"""

import itertools
from collections.abc import Sequence
from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@final
class TransposedLinear(nn.Module):
    """`y = Wᵀh + q`: the weights are those of a layer of the encoder, the bias is its own."""

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        self.source = source
        self.bias = nn.Parameter(torch.zeros(source.in_features))

    def forward(self, hidden: Float[Tensor, "batch units"]) -> Float[Tensor, "batch inputs"]:
        """Return the outputs."""
        return functional.linear(hidden, self.source.weight.T, self.bias)


@final
class Rescale(nn.Module):
    """Undoes the standardization of the code, number by number: `h = scale · z + shift`.

    Weights that were learned for `h` itself, or that are tied to the encoder's, could not absorb
    it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, code: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Return the code as the encoder gave it."""
        return code * self.scale + self.shift


def dense_body(
    input_dim: int,
    n_values: int,
    grid: int,
    widths: Sequence[int],
    *,
    has_tied_weights: bool = False,
    has_linear_code: bool = False,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Return encoder and decoder.

    Args:
        input_dim: Length of the vector of each cell; with tied weights the number of values.
        n_values: Outputs of each cell.
        grid: Side of the label maps.
        widths: Units of each layer, the last of which is the code.
        has_tied_weights: Whether the decoder has the transposed weights of the encoder.
        has_linear_code: Whether the code has no sigmoid.
    """
    sizes = [input_dim * grid**2, *widths]
    up = [nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)]
    encoder: list[nn.Module] = [nn.Flatten()]
    for layer in up:
        encoder += [layer, nn.Sigmoid()]
    if has_linear_code:
        encoder.pop()
    sizes[0] = n_values * grid**2
    decoder: list[nn.Module] = [Rescale(widths[-1])]
    for layer, n_out in zip(reversed(up), reversed(sizes[:-1]), strict=True):
        down = TransposedLinear(layer) if has_tied_weights else nn.Linear(layer.out_features, n_out)
        decoder += [down, nn.Sigmoid()]
    decoder[-1] = nn.Unflatten(1, (n_values, grid, grid))
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def layers_up(encoder: nn.Module) -> list[nn.Linear]:
    """Return the layers of an encoder that `dense_body` made, from the label map up."""
    return [layer for layer in cast(nn.Sequential, encoder) if isinstance(layer, nn.Linear)]


def layers_down(decoder: nn.Module) -> list[nn.Linear | TransposedLinear]:
    """Return the layers of its decoder, from the code down."""
    kinds = (nn.Linear, TransposedLinear)
    return [layer for layer in cast(nn.Sequential, decoder) if isinstance(layer, kinds)]
