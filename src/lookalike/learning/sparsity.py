"""Codes of which few numbers are active, and codes of bits."""

from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lookalike.learning.losses import Scalar

_MARGIN: Final = 1e-6
"""Mean activations are kept so far from 0 and 1, where the divergence has no value."""


@final
class SparsityPenalty(nn.Module):
    """Draws the mean activation `ρ̂_j` of each unit to a small `ρ`.

    `β Σ_j KL(ρ‖ρ̂_j) / cells`, where `KL = ρ ln(ρ/ρ̂) + (1 − ρ) ln((1 − ρ)/(1 − ρ̂))` and `ρ̂_j` is
    the mean over the batch. Dividing by the cells of a label map keeps the published proportion to
    the reconstruction loss, which is a sum over cells there and a mean here.

    Args:
        target: `ρ`, between 0 and 1.
        weight: `β`.
        n_cells: Cells of a label map.

    References:
        H. Lee, C. Ekanadham, A. Ng, *Sparse deep belief net model for visual area V2*, NIPS 2007;
        A. Ng, *Sparse autoencoder*, lecture notes CS294A, 2011 (this penalty).
    """

    def __init__(self, target: float, weight: float, n_cells: int = 1) -> None:
        super().__init__()
        self.target = target
        self.weight = weight / n_cells

    def forward(self, activations: Float[Tensor, "batch units"]) -> Scalar:
        """Return the penalty for activations between 0 and 1."""
        rho = activations.new_tensor(self.target)
        mean = activations.mean(dim=0).clamp(_MARGIN, 1 - _MARGIN)
        divergence = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return self.weight * divergence.sum()


@final
class KeepLargest(nn.Module):
    """Keeps the `k` largest numbers of a linear code and sets the others to 0.

    Numbers that equal the `k`-th are kept too.

    References:
        A. Makhzani, B. Frey, *k-Sparse Autoencoders*, ICLR 2014.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, code: Float[Tensor, "batch units"]) -> Float[Tensor, "batch units"]:
        """Return the sparse code."""
        least = code.topk(self.k, dim=1).values[:, -1:]
        return torch.where(code >= least, code, torch.zeros_like(code))


@final
class Bits(nn.Module):
    """Turns numbers into bits, −1 and 1; zero becomes 1.

    The gradient goes through as if nothing had been done: the straight-through estimator.

    References:
        R. Salakhutdinov, G. Hinton, *Semantic hashing*, IJAR 2009 (binary codes of an
        autoencoder); Y. Bengio, N. Léonard, A. Courville, *Estimating or Propagating Gradients
        Through Stochastic Neurons for Conditional Computation*, arXiv 1308.3432, 2013.
    """

    def forward(self, values: Float[Tensor, "batch units"]) -> Float[Tensor, "batch units"]:
        """Return the bits."""
        bits = torch.where(values >= 0, 1.0, -1.0).to(values.dtype)
        if not values.requires_grad:
            return bits
        # Nothing is added, but for the gradient.
        return bits + (values - values.detach())
