"""Models that others have trained, as model folders of this program.

Importing this module imports neither PyTorch nor Transformers; `import_model` does.
"""

from pathlib import Path

from lookalike.errors import MissingExtraError, UsageError
from lookalike.learning.sources import locate
from lookalike.model_folder import ModelCard
from lookalike.progress import SILENT, Progress

_EXTRAS = {
    "torch": "learn",
    "onnx": "learn",
    "transformers": "hub",
    "tokenizers": "hub",
    "safetensors": "hub",
    "sentencepiece": "hub",
    "huggingface_hub": "hub",
}
"""The extra that brings each package."""


def import_model(
    source: str,
    out: Path,
    *,
    image_size: int | None = None,
    with_text: bool = True,
    download: bool = False,
    progress: Progress = SILENT,
) -> ModelCard:
    """Turn a model saved by Hugging Face Transformers into a model folder.

    The networks are written as ONNX files whose embeddings are compared with those of the library
    itself, on the same pixels and the same words; a model that computes something else is not
    written. `content` is what the model's family takes for the embedding of a picture, see
    `lookalike.learning.pretrained.FAMILIES`.

    Args:
        source: A folder with `config.json`, weights as `*.safetensors`, `preprocessor_config.json`
            and, for models with a text side, a tokenizer; or, with `download`, a name on the hub
            such as `facebook/dinov2-small`.
        out: The model folder to make.
        image_size: Side of the square network input in pixels, a multiple of the model's patches;
            by default what the model's own preprocessing gives.
        with_text: Whether to import the text side, where there is one.
        download: Fetch `source` from the hub; nothing is fetched without.
        progress: Where progress is shown.

    Raises:
        UsageError: If `out` exists, `source` is no model that can be imported, its weights are
            pickled or incomplete, its tokenizer cannot be used, or `image_size` does not fit.
        ModelError: If the exported files compute something else than the original.
        EnvironmentFault: If the download fails or the disk is full.
        MissingExtraError: If a package that this needs is not installed.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; choose another place for the model or remove it")
    try:
        with progress.task(f"Importing {source}", total=3, unit="steps") as task:
            found = locate(source, download=download)
            # PyTorch and Transformers are optional extras and slow to import.
            from lookalike.learning.pretrained import write_model  # noqa: PLC0415

            return write_model(found, out, image_size, with_text=with_text, task=task)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise MissingExtraError(package, _EXTRAS[package], "importing a model") from error
