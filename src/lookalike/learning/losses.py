"""What is made small while learning."""

from typing import Final, TypeAlias

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from lookalike.arrays import VOID

Scalar: TypeAlias = Float[Tensor, ""]

_TEMPERATURE: Final = 0.1


def label_loss(
    logits: Float[Tensor, "batch classes"],
    labels: Bool[Tensor, "batch classes"],
    is_single_label: bool,
) -> Scalar:
    """Classification loss `L_cls`, mean over the batch.

    Several labels per picture: mean over classes of the binary cross-entropy of `σ(logit)`. One
    label per picture: cross-entropy of the softmax.
    """
    if is_single_label:
        return functional.cross_entropy(logits, labels.int().argmax(dim=1))
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def partial_label_loss(
    logits: Float[Tensor, "batch classes"],
    labels: Bool[Tensor, "batch classes"],
    known: Bool[Tensor, "batch classes"],
    is_single: Bool[Tensor, " batch"],
) -> Scalar:
    """Classification loss of pictures from several sets, each of which knows only some classes.

    For each picture `label_loss` over the classes its set knows, as if there were no others; mean
    over the batch.

    Args:
        logits: One per class.
        labels: Which classes each picture has.
        known: Which classes its set can tell; at least one.
        is_single: Whether it has exactly one of these.
    """
    several = functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits.dtype), reduction="none"
    )
    several = (several * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    among_known = logits.masked_fill(~known, float("-inf"))
    # Where there are several labels or none, any known class will do: that loss is not used, but
    # an infinite one would make gradients that are no numbers.
    target = torch.where(is_single, labels.int().argmax(dim=1), known.int().argmax(dim=1))
    one = functional.cross_entropy(among_known, target, reduction="none")
    return torch.where(is_single, one, several).mean()


def code_loss(
    predicted: Float[Tensor, "batch code_dim"], code: Float[Tensor, "batch code_dim"]
) -> Scalar:
    """Regression loss `L_reg = ||ẑ − z||² / code_dim`, mean over the batch.

    With z-scored codes, predicting the mean of all codes costs 1.
    """
    return functional.mse_loss(predicted, code)


def map_loss(
    logits: Float[Tensor, "batch values grid grid"],
    label_maps: UInt8[Tensor, "batch grid grid"],
    weights: Float[Tensor, " values"],
) -> Scalar:
    """Weighted cross-entropy of the per-cell softmax: `−(1/n) Σ α_c ln Y_c`.

    Args:
        logits: One per label map value, background first.
        label_maps: True values; `VOID` cells are ignored and not counted in `n`.
        weights: `α` of each value.

    Returns:
        Mean over all cells that are not void; 0 if all are.
    """
    targets = label_maps.long()
    total = functional.cross_entropy(logits, targets, weights, ignore_index=VOID, reduction="sum")
    return total / (targets != VOID).sum().clamp(min=1)


def sigmoid_map_loss(
    logits: Float[Tensor, "batch values grid grid"],
    label_maps: UInt8[Tensor, "batch grid grid"],
    weights: Float[Tensor, " values"],
) -> Scalar:
    """Weighted cross-entropy of sigmoids against the one-hot map, as in the dense autoencoder.

    `−(1/n) Σ_cells α_true Σ_c [x_c ln y_c + (1 − x_c) ln(1 − y_c)]`, void cells ignored.
    """
    targets = label_maps.long()
    known = targets != VOID
    targets = targets * known
    one_hot = functional.one_hot(targets, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    per_cell = functional.binary_cross_entropy_with_logits(logits, one_hot, reduction="none")
    weighted = per_cell.sum(dim=1) * weights.to(logits.dtype)[targets] * known
    return weighted.sum() / known.sum().clamp(min=1)


def squared_map_loss(
    outputs: Float[Tensor, "batch values grid grid"],
    label_maps: UInt8[Tensor, "batch grid grid"],
    weights: Float[Tensor, " values"],
) -> Scalar:
    """Weighted squared error of linear outputs against the one-hot map.

    `(1/n) Σ_cells α_true Σ_c (x_c − y_c)²`, void cells ignored.
    """
    targets = label_maps.long()
    known = targets != VOID
    targets = targets * known
    one_hot = functional.one_hot(targets, outputs.shape[1]).movedim(-1, 1).to(outputs.dtype)
    weighted = (outputs - one_hot).square().sum(dim=1) * weights.to(outputs.dtype)[targets] * known
    return weighted.sum() / known.sum().clamp(min=1)


def neighbor_loss(found: Float[Tensor, "n n"], wanted: Float[Tensor, "n n"]) -> Scalar:
    """Cross-entropy between the neighbors of two tables of similarities, for each row of a batch.

    `−(1/n) Σ_i Σ_{j≠i} p_ij ln q_ij − H(p_i)`, with `p_i = softmax_j(wanted_ij / τ)` and `q_i` the
    same of `found`, τ = 0.1: 0 where they differ by a constant in each row. One alone has no
    neighbors: 0.

    Args:
        found: Similarities that are learned; the diagonal is not looked at.
        wanted: Those that they should be.
    """
    if len(found) < 2:
        return found.sum() * 0
    own = torch.eye(len(found), dtype=torch.bool, device=found.device)
    q, p = (
        (table / _TEMPERATURE).masked_fill(own, -1e4).log_softmax(dim=1)
        for table in (found, wanted)
    )
    return functional.kl_div(q, p, reduction="batchmean", log_target=True)


def similar_codes_loss(
    codes: Float[Tensor, "batch code_dim"], similarities: Float[Tensor, "batch batch"]
) -> Scalar:
    """`neighbor_loss` of the cosines of codes: those of label maps that agree must be near."""
    unit = functional.normalize(codes, dim=1)
    return neighbor_loss(unit @ unit.T, similarities)


def value_weights(counts: Int64[Tensor, " values"], power: float = 0.5) -> Float[Tensor, " values"]:
    """Weights `α_c ∝ f_c^−power` of label map values with shares `f_c`, 1 for the mean cell.

    Args:
        counts: Cells of each value in the training maps.
        power: 0 weights all values alike, 1 by inverse frequency. Values that never occur get
            the largest weight of those that do.

    Example:
        >>> value_weights(torch.tensor([90, 10]), power=1.0)
        tensor([0.5556, 5.0000])
    """
    shares = counts.double() / counts.sum().clamp(min=1)
    rarest = shares[shares > 0].min() if (shares > 0).any() else torch.tensor(1.0)
    weights = shares.clamp(min=float(rarest)) ** -power
    mean = (shares * weights).sum()
    return (weights / mean.clamp(min=1e-12)).float()
