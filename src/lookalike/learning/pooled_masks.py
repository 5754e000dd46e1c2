"""Label maps averaged over coarse cells: a code that nobody learned.

Shares of each label map value in 8 × 8 cells, either as they are or reduced to principal
components. Both come as a `SelfEncoder` whose parts are fixed, so that they can be regressed,
decoded, exported and searched by like any other code.
"""

from collections.abc import Callable, Iterator
from typing import Final, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from lookalike.errors import UsageError
from lookalike.learning.devices import derive_seed
from lookalike.learning.recipes import Recipe
from lookalike.learning.segmentation import POOLED_SIDE, SharesToLogits
from lookalike.learning.self_encoders import SelfEncoder, input_table
from lookalike.learning.self_encoding import over_training_maps
from lookalike.learning.stages import Material

_SPARE: Final = 16
"""Directions followed beside those wanted, so that the last of these settle too."""
_PASSES: Final = 6

_Blocks = Callable[[], Iterator[Float[Tensor, "block dim"]]]


def build_pooled_masks(n_classes: int, recipe: Recipe) -> SelfEncoder:
    """Build the fixed self-encoder: with principal components where codes are regressed.

    Raises:
        UsageError: If there are fewer shares than `code_dim` components.
    """
    n_values = n_classes + 1
    n_shares = n_values * POOLED_SIDE**2
    encoder: list[nn.Module] = [nn.AvgPool2d(recipe.grid // POOLED_SIDE), nn.Flatten()]
    decoder: list[nn.Module] = [
        nn.Unflatten(1, (n_values, POOLED_SIDE, POOLED_SIDE)),
        SharesToLogits(recipe.grid),
    ]
    code_dim = n_shares
    if recipe.has_self_encoding:
        code_dim = recipe.code_dim
        if code_dim > n_shares:
            raise UsageError(
                f"code_dim={code_dim} principal components cannot be had from {n_shares} shares "
                f"of {n_values} label map values; use a code_dim of at most {n_shares}"
            )
        encoder.append(nn.Linear(n_shares, code_dim))
        decoder.insert(0, nn.Linear(code_dim, n_shares))
    table = input_table(n_classes, has_one_hot=True)
    fixed = SelfEncoder(table, nn.Sequential(*encoder), nn.Sequential(*decoder), code_dim=code_dim)
    # Nothing is standardized by batches here, not even by the little that keeps from dividing by 0.
    fixed.standardize = nn.Identity()
    fixed.requires_grad_(False)
    return fixed.eval()


@torch.no_grad()
def fit_pooled_masks(self_encoder: SelfEncoder, material: Material) -> None:
    """Find mean and principal components of the training maps and their mirror images.

    Codes are centered and divided by one number, so that a dimension has a variance of 1 on
    average: distances of codes stay proportional to those of the pooled maps, or to those of their
    projections.
    """
    encoder = cast(nn.Sequential, self_encoder.encoder)
    projection = encoder[-1]

    def shares() -> Iterator[Float[Tensor, "block dim"]]:
        # What is fitted still lies on the CPU.
        return over_training_maps(
            material, lambda shown: encoder[:2](self_encoder.inputs(shown.cpu()))
        )

    mean = _mean(shares)
    if isinstance(projection, nn.Linear):
        seed = derive_seed(material.recipe.seed, "principal components")
        basis, variances = principal_components(shares, mean, projection.out_features, seed)
        scale = variances.mean().sqrt().clamp(min=1e-6)
        projection.weight.copy_(basis.T / scale)
        projection.bias.copy_(-(mean @ basis) / scale)
        back = cast(nn.Linear, cast(nn.Sequential, self_encoder.decoder)[0])
        back.weight.copy_(basis * scale)
        back.bias.copy_(mean)
        return
    total = sum(float((block.double() - mean).square().sum()) for block in shares())
    n = 2 * len(material.mapped)
    self_encoder.mean.copy_(mean)
    self_encoder.deviation.fill_(max((total / (n * len(mean))) ** 0.5, 1e-6))


def principal_components(
    rows: _Blocks, mean: Float[Tensor, " dim"], n: int, seed: int
) -> tuple[Float[Tensor, "dim n"], Float[Tensor, " n"]]:
    """Principal components of rows that come in blocks, without ever holding all of them.

    Subspace iteration: an orthonormal basis is multiplied by the covariance, pass after pass over
    the data, and rotated to the axes in the end. Memory grows with `dim · n` alone.

    Args:
        rows: Gives all rows anew, block by block, each time it is called.
        mean: Mean of the rows.
        n: How many components; at most `dim`.
        seed: Of the first basis.

    Returns:
        Unit columns by falling variance, and their variances.

    References:
        N. Halko, P.-G. Martinsson, J. A. Tropp, *Finding Structure with Randomness*, SIAM Review
        53, 2011, algorithm 4.4.
    """
    dim = len(mean)
    generator = Generator().manual_seed(seed)
    basis = torch.randn(dim, min(dim, n + _SPARE), generator=generator, dtype=torch.float64)
    for _ in range(_PASSES):
        basis = torch.linalg.qr(_times_covariance(rows, mean, basis)).Q
    inner = basis.T @ _times_covariance(rows, mean, basis)
    variances, rotation = torch.linalg.eigh((inner + inner.T) / 2)
    order = variances.argsort(descending=True)[:n]
    return basis @ rotation[:, order], variances[order].clamp(min=0)


def _times_covariance(
    rows: _Blocks, mean: Float[Tensor, " dim"], basis: Float[Tensor, "dim columns"]
) -> Float[Tensor, "dim columns"]:
    total, n = torch.zeros_like(basis), 0
    for block in rows():
        centered = block.double() - mean
        total += centered.T @ (centered @ basis)
        n += len(block)
    return total / n


def _mean(rows: _Blocks) -> Float[Tensor, " dim"]:
    sums = [(block.double().sum(dim=0), len(block)) for block in rows()]
    total = torch.stack([part for part, _ in sums]).sum(dim=0)
    return total / sum(n for _, n in sums)
