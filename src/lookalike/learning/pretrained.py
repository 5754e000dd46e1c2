"""From a model of Hugging Face Transformers to the files of a model folder."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import transformers
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import logging

from lookalike.arrays import Embeddings, PixelBatch, normalize
from lookalike.atomic import PARTIAL
from lookalike.errors import UsageError
from lookalike.images.decoding import PREPROCESS_VERSION
from lookalike.learning.checkpoints import disk_faults
from lookalike.learning.export import publish, write_onnx
from lookalike.learning.parity import Parity, run_onnx
from lookalike.learning.pretrained_text import write_text_side
from lookalike.learning.sources import Source
from lookalike.model_folder import NETWORK, ModelCard
from lookalike.progress import Task

LICENSE: Final = "LICENSE"
_BACKGROUND: Final = (0, 0, 0)
_LARGEST: Final = 2048
_COMPARED: Final = 4
"""Pictures on which the exported network is compared with the library."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are read in the same way.

    Attributes:
        class_name: Transformers' class that loads them.
        content: What `content` is, in words for the card.
        embed: Gives one row for each picture of normalized pixels.
        options: Further options for loading.
        has_text: Whether they have a text side.
    """

    class_name: str
    content: str
    embed: Callable[[Any, Tensor], Tensor]
    options: Mapping[str, Any]
    has_text: bool = False


def _features(model: Any, pixels: Tensor) -> Tensor:
    found = model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
    pooled: Tensor = found.pooler_output
    return pooled


def _projected(model: Any, pixels: Tensor) -> Tensor:
    rows: Tensor = model(pixel_values=pixels, interpolate_pos_encoding=True).image_embeds
    return rows


def _pooled(model: Any, pixels: Tensor) -> Tensor:
    rows: Tensor = model(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output
    return rows


def _class_token(model: Any, pixels: Tensor) -> Tensor:
    rows: Tensor = model(pixel_values=pixels).last_hidden_state[:, 0]
    return rows


def _class_token_at_any_size(model: Any, pixels: Tensor) -> Tensor:
    found = model(pixel_values=pixels, interpolate_pos_encoding=True)
    rows: Tensor = found.last_hidden_state[:, 0]
    return rows


_PROJECTED: Final = "class token, projected into the space shared with words (image_embeds)"
_ATTENDED: Final = "all patches, pooled by the attention head (pooler_output)"
_TOKEN: Final = "class token after the last layer normalization"

FAMILIES: Final[dict[str, Family]] = {
    "clip": Family("CLIPModel", _PROJECTED, _features, {}, has_text=True),
    "clip_vision_model": Family("CLIPVisionModelWithProjection", _PROJECTED, _projected, {}),
    "siglip": Family("SiglipModel", _ATTENDED, _features, {}, has_text=True),
    "siglip_vision_model": Family("SiglipVisionModel", _ATTENDED, _pooled, {}),
    "dinov2": Family("Dinov2Model", _TOKEN, _class_token, {}),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", _TOKEN, _class_token, {}),
    "dinov3_vit": Family("DINOv3ViTModel", _TOKEN, _class_token, {}),
    "vit": Family("ViTModel", _TOKEN, _class_token_at_any_size, {"add_pooling_layer": False}),
}
"""By `model_type` of `config.json`. `content` is what the authors of each compare pictures by."""


class ImageSide(nn.Module):
    """RGB bytes → unit rows; rescaling and normalization as the model's own preprocessing has them.

    Args:
        model: A model of `family`.
        family: How it is read.
        processor: Transformers' image processor of the model.
    """

    shift: Float[Tensor, "3 1 1"]
    scale: Float[Tensor, "3 1 1"]

    def __init__(self, model: nn.Module, family: Family, processor: Any) -> None:
        super().__init__()
        self.model = model
        self.family = family
        factor = processor.rescale_factor if processor.do_rescale else 1.0
        mean, deviation = (0.0, 1.0)
        if processor.do_normalize:
            mean, deviation = processor.image_mean, processor.image_std
        shift, spread = torch.as_tensor(mean), torch.as_tensor(deviation)
        self.register_buffer("shift", (shift / spread).float().expand(3).reshape(3, 1, 1))
        self.register_buffer("scale", (factor / spread).float().expand(3).reshape(3, 1, 1))

    def forward(self, images: UInt8[Tensor, "batch size size 3"]) -> Tensor:
        """Return `content`."""
        pixels = images.permute(0, 3, 1, 2).float() * self.scale - self.shift
        return functional.normalize(self.family.embed(self.model, pixels), dim=1)


def write_model(
    source: Source, out: Path, image_size: int | None, *, with_text: bool, task: Task
) -> ModelCard:
    """Write the model folder; see `importing.import_model`, which this does."""
    family, weights = _family(source), source.weights()
    temporary = out.with_name(f".{out.name}{PARTIAL}")
    with _quiet(), disk_faults(out):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            task.note("reading")
            model = _load(source, family)
            task.advance()
            card = _write_files(temporary, source, family, model, image_size, with_text, task)
            return publish(
                temporary, out, replace(card, origin=_origin(source, family, model, weights))
            )
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_files(
    folder: Path,
    source: Source,
    family: Family,
    model: nn.Module,
    image_size: int | None,
    with_text: bool,
    task: Task,
) -> ModelCard:
    """Write everything but the card, and return it without checksums and origin."""
    processor, parity = _processor(source), Parity()
    size = _image_size(source, processor, image_size)
    task.note("writing the image side")
    content_dim = _write_image_side(folder, model, family, processor, size, parity)
    task.advance()
    length = 0
    if family.has_text and with_text:
        task.note("writing the text side")
        length = write_text_side(folder, model, source, parity)
    task.advance()
    task.note("")
    if source.license_file is not None:
        shutil.copyfile(source.license_file, folder / LICENSE)
    return ModelCard(
        name=source.short_name,
        classes=(),
        relevant_classes=(),
        palette=(_BACKGROUND,),
        image_size=size,
        grid=0,
        content_dim=content_dim,
        code_dim=0,
        is_single_label=False,
        preprocess_version=PREPROCESS_VERSION,
        text_length=length,
        measured=parity.figures,
    )


def _family(source: Source) -> Family:
    kind = source.config["model_type"]
    if kind not in FAMILIES:
        raise UsageError(
            f"{source.name} is a model of the type {kind!r}, which cannot be imported; "
            f"known are: {', '.join(FAMILIES)}"
        )
    return FAMILIES[kind]


def _load(source: Source, family: Family) -> nn.Module:
    """Load a model in float32, and make sure that every weight came from its file."""
    try:
        model, report = getattr(transformers, family.class_name).from_pretrained(
            source.folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation="eager",
            dtype=torch.float32,
            **family.options,
        )
    except Exception as error:  # a damaged file can fail anywhere in the library
        raise _unusable(source, "cannot be read", error) from error
    missing = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if missing:
        raise UsageError(
            f"{source.name} lacks {len(missing)} of the weights of {family.class_name} "
            f"({missing[0]}, …); save the whole model again"
        )
    loaded: nn.Module = model.eval()
    return loaded


def _processor(source: Source) -> Any:
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            source.folder, local_files_only=True, backend="pil"
        )
    except Exception as error:  # as above
        raise _unusable(
            source, "does not say how pictures are prepared (preprocessor_config.json)", error
        ) from error
    return processor


def _unusable(source: Source, what: str, error: Exception) -> UsageError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UsageError(f"{source.name} {what}: {reason}")


def _image_size(source: Source, processor: Any, wanted: int | None) -> int:
    """Return the side of the network's input: what is wanted, or what the model was made for."""
    config = source.config
    config = {**config, **config.get("vision_config", {})}
    patch = int(config.get("patch_size") or 1)
    size = wanted or _processed_size(processor) or int(config.get("image_size") or 0)
    if not patch <= size <= _LARGEST or size % patch:
        raise UsageError(
            f"{source.name} cuts pictures into patches of {patch} pixels, which do not fill a "
            f"side of {size}; give --image-size as a multiple of {patch} up to {_LARGEST}, such "
            f"as {max(patch, min(size, _LARGEST) // patch * patch)}"
        )
    return size


def _processed_size(processor: Any) -> int:
    """Return the side that pictures have after the library's own preprocessing; 0 if unknown."""
    size = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    return int(size.get("height") or size.get("shortest_edge") or 0) if size else 0


def _write_image_side(
    folder: Path, model: nn.Module, family: Family, processor: Any, size: int, parity: Parity
) -> int:
    """Write the network, compare it with the library and return the length of `content`."""
    pictures = _example_pictures(size)
    expected = _library_rows(model, family, processor, pictures)
    images = torch.from_numpy(pictures)
    side = ImageSide(model, family, processor).eval()
    with _constant_positions(model), torch.no_grad():
        side(images[:1])
        write_onnx(folder / NETWORK, side, "images", images, ["content"])
    parity.compare(NETWORK, run_onnx(folder / NETWORK, pictures), expected)
    return int(expected.shape[1])


def _example_pictures(size: int) -> PixelBatch:
    """Return pictures of all kinds to compare on: flat, smooth, and noise."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, size)
    down, across = np.meshgrid(ramp, ramp, indexing="ij")
    smooth = np.stack([down, across, 255 - (down + across) / 2], axis=2)
    flat = np.full((size, size, 3), (200, 30, 90))
    noise = rng.integers(0, 256, (_COMPARED - 2, size, size, 3))
    return np.stack([flat, smooth, *noise]).astype(np.uint8)


@torch.no_grad()
def _library_rows(
    model: nn.Module, family: Family, processor: Any, pictures: PixelBatch
) -> Embeddings:
    """Embed pictures by the library alone, its preprocessing included but for cropping."""
    prepared = processor(
        images=list(pictures), do_resize=False, do_center_crop=False, return_tensors="pt"
    )
    rows = family.embed(model, prepared["pixel_values"])
    return normalize(rows.numpy())


@contextmanager
def _constant_positions(model: nn.Module) -> Iterator[None]:
    """Keep the first interpolation of position embeddings: the size of the pictures is fixed.

    Some families interpolate with anti-aliasing, for which ONNX has no operator.
    """
    found: list[Any] = [
        module for module in model.modules() if hasattr(module, "interpolate_pos_encoding")
    ]
    for module in found:
        module.interpolate_pos_encoding = _First(module.interpolate_pos_encoding)
    try:
        yield
    finally:
        for module in found:
            del module.interpolate_pos_encoding


class _First:
    """A function that is called once, whose first answer is given ever after."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._answer: Tensor | None = None

    def __call__(self, *arguments: Any) -> Tensor:
        if self._answer is None:
            self._answer = self._function(*arguments).detach()
        return self._answer


def _origin(
    source: Source, family: Family, model: nn.Module, weights: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "source": source.name,
        "revision": source.revision,
        "license": source.license_name,
        "class": family.class_name,
        "library": f"transformers {transformers.__version__}",
        "content": family.content,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "weights_sha256": dict(weights),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars and hints away from the terminal; what matters is checked here."""
    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if has_bars:
            logging.enable_progress_bar()
