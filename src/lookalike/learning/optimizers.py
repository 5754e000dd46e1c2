"""How weights move: orthogonalized momentum for matrices, AdamW for everything else."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

_MOMENTUM: Final = 0.95
_BETAS: Final = (0.9, 0.999)
_EPSILON: Final = 1e-8
_STEP_SIZE: Final = 0.6
_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
_ITERATIONS: Final = 5


class Muon(torch.optim.Optimizer):
    """Muon for matrices and convolutions, AdamW for tables, biases and normalization.

    The momentum `M` of a matrix is replaced by the nearest orthogonal matrix `UVᵀ` of its singular
    value decomposition, so that all directions are learned at the same pace; self-encoders reach
    the same loss in a third of the steps that AdamW needs. A step is
    `W ← (1 − ηλ) W − η · 0.6 √max(rows, columns) · UVᵀ`, which has about three times the size of a
    step of Adam with the same `η`.

    Args:
        modules: What is to be trained; parameters that need no gradient are left out.
        learning_rate: `η`, shared by both rules.
        weight_decay: `λ`, decoupled, for matrices only.
        is_bfloat16: Whether matrices are orthogonalized in bfloat16.
        by_adam: Modules whose matrices are moved by AdamW all the same.

    References:
        K. Jordan and others, *Muon: An optimizer for hidden layers in neural networks*, 2024;
        J. Liu and others, *Muon is Scalable for LLM Training*, arXiv 2502.16982, 2025 (the scale
        of the step); I. Loshchilov and F. Hutter, *Decoupled Weight Decay Regularization*,
        ICLR 2019.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        learning_rate: float,
        weight_decay: float,
        *,
        is_bfloat16: bool = False,
        by_adam: Collection[nn.Module] = (),
    ) -> None:
        matrices: list[Tensor] = []
        read_outs: list[Tensor] = []
        others: list[Tensor] = []
        for module in (part for whole in modules for part in whole.modules()):
            for parameter in module.parameters(recurse=False):
                is_matrix = parameter.ndim > 1 and not isinstance(module, nn.Embedding)
                if parameter.requires_grad and is_matrix:
                    (read_outs if module in by_adam else matrices).append(parameter)
                elif parameter.requires_grad:
                    others.append(parameter)
        groups = [
            {"params": matrices, "is_matrix": True, "weight_decay": weight_decay},
            {"params": read_outs, "is_matrix": False, "weight_decay": weight_decay},
            {"params": others, "is_matrix": False, "weight_decay": 0.0},
        ]
        self._dtype = torch.bfloat16 if is_bfloat16 else torch.float32
        super().__init__(groups, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all parameters that have a gradient; `closure` is not used.

        All of a kind are moved together: on a graphics processor the time of a step goes by the
        number of operations, not by their size.
        """
        for group in self.param_groups:
            rule = self._step_matrices if group["is_matrix"] else self._step_others
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                rule(weights, [weight.grad for weight in weights], group["lr"], group)

    def _step_matrices(
        self, weights: list[Tensor], gradients: list[Tensor], rate: float, group: dict[str, Any]
    ) -> None:
        momenta = [self._state(weight, "momentum")["momentum"] for weight in weights]
        torch._foreach_mul_(momenta, _MOMENTUM)
        torch._foreach_add_(momenta, gradients)
        ahead = torch._foreach_add(gradients, momenta, alpha=_MOMENTUM)
        torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        alike: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for place, matrix in enumerate(ahead):
            # On processor cores stacking costs more than it saves.
            alone = 0 if matrix.is_cuda else place
            alike[matrix.shape[0], matrix[0].numel(), alone].append(place)
        for (*shape, _), places in alike.items():
            stacked = torch.stack([ahead[place].flatten(1) for place in places])
            directions = orthogonalize(stacked.to(self._dtype)).to(stacked.dtype)
            size = _STEP_SIZE * math.sqrt(max(shape))
            for place, direction in zip(places, directions, strict=True):
                weights[place].sub_(direction.view_as(weights[place]), alpha=rate * size)

    def _step_others(
        self, weights: list[Tensor], gradients: list[Tensor], rate: float, group: dict[str, Any]
    ) -> None:
        states = [self._state(weight, "mean", "square", "step") for weight in weights]
        for state in states:
            state["step"] += 1
        steps = [int(state["step"]) for state in states]
        means, squares = ([state[name] for state in states] for name in ("mean", "square"))
        torch._foreach_lerp_(means, gradients, 1 - _BETAS[0])
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - _BETAS[1])
        roots = torch._foreach_div(squares, [1 - _BETAS[1] ** step for step in steps])
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, _EPSILON)
        moves = torch._foreach_div(means, [1 - _BETAS[0] ** step for step in steps])
        torch._foreach_div_(moves, roots)
        torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_add_(weights, moves, alpha=-rate)

    def _state(self, weight: Tensor, *names: str) -> dict[str, Tensor]:
        """Return what is remembered of a parameter, zeros at first."""
        state = cast("dict[str, Tensor]", self.state[weight])
        if not state:
            for name in names:
                state[name] = torch.zeros(()) if name == "step" else torch.zeros_like(weight)
        return state


def orthogonalize(matrices: Float[Tensor, "*n rows columns"]) -> Float[Tensor, "*n rows columns"]:
    """Return roughly the nearest matrix with orthogonal rows or columns, of each.

    Five Newton–Schulz iterations with the coefficients of Jordan and others: singular values end
    between about 0.7 and 1.2, which is near enough to 1 for a step. Zeros stay zeros.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / (x.square().sum(dim=(-2, -1), keepdim=True).sqrt() + 1e-7)
    for _ in range(_ITERATIONS):
        products = x @ x.mT
        x = a * x + (b * products + c * products @ products) @ x
    return x.mT if is_tall else x
