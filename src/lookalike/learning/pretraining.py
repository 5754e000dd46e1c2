"""What comes before labels: the stages of pre-training, and what only they need."""

from torch import nn

from lookalike.learning.contrastive import ContrastiveStage, build_projection
from lookalike.learning.devices import derive_seed, seeded
from lookalike.learning.layerwise import build_decoders, layer_stages
from lookalike.learning.network import Network
from lookalike.learning.stages import Material, Stage


def pretraining_stages(
    network: Network, material: Material
) -> tuple[nn.Module | None, list[Stage]]:
    """Return the stages that a recipe asks for, and the module that is trained beside the network.

    Args:
        network: What is pre-trained.
        material: All training pictures, whether or not their labels may be used.

    Returns:
        Decoders or projection, `None` without pre-training; and the stages, possibly none. Its
        weights are drawn from a seed of their own, so they change nothing else of a run.
    """
    recipe = material.recipe
    n_epochs = recipe.pretraining_epochs_for(len(material.pictures))
    with seeded(derive_seed(recipe.seed, "pretraining")):
        if recipe.pretraining == "layerwise":
            decoders = build_decoders(network, recipe.image_size)
            return decoders, list(layer_stages(network, decoders, material, n_epochs))
        if recipe.pretraining == "contrastive":
            projection = build_projection(network.content_dim).to(material.device.name)
            return projection, [ContrastiveStage(network, projection, material, n_epochs)]
    return None, []
