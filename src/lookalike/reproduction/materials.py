"""Pictures, models and embeddings: what the tables are computed from."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, Pixels, normalize, top_k
from lookalike.atomic import write_atomically
from lookalike.datasets import Dataset, open_dataset
from lookalike.datasets.opening import parse_spec
from lookalike.datasets.scenes import write_scenes
from lookalike.errors import DatasetError, MissingExtraError, UsageError
from lookalike.evaluation.truth import GroundTruth
from lookalike.features.model import Model
from lookalike.index.base import Hits
from lookalike.learning.recipes import learn
from lookalike.model_folder import ModelCard, read_card
from lookalike.progress import Progress
from lookalike.reproduction.plan import Plan
from lookalike.reproduction.workspace import Workspace, file_name

_MAP_SIDE: Final = 64
_BLOCK: Final = 64
_LEARN_SEED, _GALLERY_SEED = 1000, 2000
_PICTURES_TO_JUDGE: Final = 20
_PAIRS: Final = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What is learned from and what is searched.

    Attributes:
        learned: Pictures to learn from.
        pixels: Pictures of the gallery at the size of the networks' input.
        truth: What is known of them; ids are their positions.
        unreadable: Pictures of the gallery that were left out, with the reason.
    """

    learned: Dataset
    pixels: UInt8[ndarray, "gallery side side 3"]
    truth: GroundTruth
    unreadable: tuple[str, ...]

    @property
    def labels(self) -> Bool[ndarray, "gallery classes"]:
        """Classes that count, for each picture of the gallery."""
        return self.truth.relevant_labels

    @property
    def has_label_maps(self) -> bool:
        """Whether codes can be learned and layouts judged."""
        return self.truth.label_maps is not None and self.learned.has_label_maps

    def picture(self, image_id: int) -> Pixels:
        """Return a picture of the gallery."""
        return np.asarray(self.pixels[image_id])


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A model and what it makes of the gallery.

    Attributes:
        name: As in the plan.
        seed: Of everything that was drawn at random.
        card: The card of its folder.
        content: Unit rows.
        layout: Rows of codes; `None` without label maps or self-encoding.
    """

    name: str
    seed: int
    card: ModelCard
    content: Embeddings
    layout: Float32[ndarray, "items code_dim"] | None

    def mixture(self, beta: float) -> Embeddings:
        """Return unit rows whose inner products rank as `(1 − β) cos f / σ_f + β cos ẑ / σ_z`.

        `σ` is the standard deviation of the cosines of random pairs of the gallery, so that β means
        the same whatever the model. Without a layout the rows are `content`.
        """
        if self.layout is None or beta == 0:
            return self.content
        parts = (self.content, normalize(self.layout))
        weights = [
            share / _spread_of_cosines(rows)
            for share, rows in zip((1 - beta, beta), parts, strict=True)
        ]
        scaled = [np.sqrt(w / sum(weights)) * rows for w, rows in zip(weights, parts, strict=True)]
        joined: Embeddings = np.concatenate(scaled, axis=1).astype(np.float32)
        return joined


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """A system that ranks a gallery by its vectors, every one compared.

    Attributes:
        vectors: One row for each picture, by id.
        is_euclidean: Whether near is a small Euclidean distance; else a large inner product.
    """

    vectors: Embeddings
    is_euclidean: bool = False

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Return the `k` best images for each query image, without the query itself."""
        scores = self.vectors[query_ids] @ self.vectors.T
        if self.is_euclidean:
            squares = (self.vectors**2).sum(axis=1)
            scores = 2 * scores - squares - squares[query_ids][:, None]
        scores[np.arange(len(query_ids)), query_ids] = -np.inf
        ids, best = top_k(scores, np.arange(len(self.vectors)), min(k, len(self.vectors) - 1))
        return Hits(ids, best)


def open_data(workspace: Workspace, plan: Plan, progress: Progress) -> Data:
    """Open the pictures to learn from, and decode the gallery once for all models.

    Raises:
        DatasetError: If the gallery has other classes or too few pictures, or if pictures or labels
            have changed since the folder was begun.
        MissingExtraError: If PyTorch is not installed.
    """
    try:
        # PyTorch is an extra, which Figure 3 can do without.
        from lookalike.learning.pictures import fingerprint, load_pictures  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "learn", "learning") from error
    learned, gallery = _open_sets(workspace, plan, progress)
    if tuple(gallery.classes) != tuple(learned.classes):
        raise DatasetError(
            f"{gallery.name} has other classes than {learned.name}; "
            "judge by pictures that have the same classes in the same order"
        )
    now = {s.name: fingerprint(s, range(len(s))) for s in (learned, gallery)}
    begun = workspace.cell("data", lambda: now)
    if begun != now:
        changed = [name for name, digest in now.items() if begun.get(name) != digest]
        raise DatasetError(
            f"{' and '.join(changed)} changed since {workspace.folder} was begun; put the pictures "
            "and labels back as they were, or choose another folder with --out"
        )
    pictures = load_pictures(
        gallery,
        range(len(gallery)),
        workspace.folder / "gallery",
        side=plan.image_size,
        map_side=_MAP_SIDE,
        progress=progress,
    )
    if len(pictures) < _PICTURES_TO_JUDGE:
        raise DatasetError(
            f"{gallery.name} has {len(pictures)} pictures to judge by; "
            f"at least {_PICTURES_TO_JUDGE} are needed"
        )
    truth = GroundTruth(
        ids=np.arange(len(pictures)),
        labels=pictures.labels,
        label_maps=None if pictures.label_maps is None else np.asarray(pictures.label_maps),
        classes=tuple(gallery.classes),
        relevant_classes=relevant_classes(gallery, plan.without),
        palette=tuple(gallery.palette),
        names=tuple(str(position) for position in range(len(pictures))),
    )
    return Data(learned, np.asarray(pictures.pixels), truth, pictures.unreadable)


def relevant_classes(gallery: Dataset, without: Sequence[str]) -> frozenset[int]:
    """Return the classes that make pictures relevant to each other, without some.

    Raises:
        UsageError: If one is not known, or none is left.
    """
    unknown = [name for name in without if name not in gallery.classes]
    if unknown:
        raise UsageError(
            f"{gallery.name} has no class {unknown[0]!r} to leave out of relevance; "
            f"its classes are: {', '.join(gallery.classes)}"
        )
    left_out = {gallery.classes.index(name) for name in without}
    relevant: frozenset[int] = gallery.relevant_classes - left_out
    if not relevant:
        raise UsageError(f"no class of {gallery.name} is left that could make pictures relevant")
    return relevant


def learn_model(
    workspace: Workspace,
    plan: Plan,
    data: Data,
    name: str,
    changes: Mapping[str, Any],
    seed: int,
    progress: Progress,
) -> Learned:
    """Learn a model and encode the gallery, or take both from an earlier run.

    A training that was interrupted goes on where it was.
    """
    stem = file_name(f"{name} s{seed}")
    folder, vectors = workspace.models / stem, workspace.embeddings / f"{stem}.npz"
    recipe = plan.recipe(changes, seed)
    if not vectors.is_file():
        learn(data.learned, folder, recipe, resume=True, progress=progress)
        write_atomically(vectors, _encode(Model.open(folder), data, progress))
    with np.load(vectors, allow_pickle=False) as arrays:
        layout = arrays.get("layout")
        return Learned(name, seed, read_card(folder), arrays["content"], layout)


def _spread_of_cosines(rows: Embeddings) -> float:
    """Standard deviation of the cosine over random pairs; never 0."""
    first, second = np.random.default_rng(0).integers(0, len(rows), (2, _PAIRS))
    others = first != second
    cosines = (rows[first[others]] * rows[second[others]]).sum(axis=1)
    return max(float(cosines.std()), 1e-6)


def _open_sets(workspace: Workspace, plan: Plan, progress: Progress) -> tuple[Dataset, Dataset]:
    if plan.dataset is None:
        sets = (
            ("learn", plan.n_scenes, _LEARN_SEED),
            ("gallery-scenes", plan.n_gallery_scenes, _GALLERY_SEED),
        )
        for name, n, seed in sets:
            if not (workspace.folder / name).exists():
                write_scenes(workspace.folder / name, n, seed, progress=progress)
        first, second = (open_dataset(workspace.folder / name) for name, _, _ in sets)
        return first, second
    learned, gallery = plan.dataset, plan.gallery
    if gallery is None:
        if parse_spec(learned).part is not None:
            raise DatasetError(
                f"{learned!r} is a part already; name the pictures to judge by with --gallery, "
                "or give the whole set, of which two thirds are learned from"
            )
        learned, gallery = f"{learned}#train", f"{learned}#test"
    return (
        open_dataset(learned, level=plan.level, progress=progress),
        open_dataset(gallery, level=plan.level, progress=progress),
    )


def _encode(model: Model, data: Data, progress: Progress) -> bytes:
    content, layout = [], []
    n = len(data.pixels)
    with progress.task("Encoding the gallery", n) as task:
        for start in range(0, n, _BLOCK):
            encoded = model.encode(np.asarray(data.pixels[start : start + _BLOCK]))
            content.append(encoded.content)
            if encoded.layout is not None:
                layout.append(encoded.layout)
            task.advance(len(encoded.content))
    arrays = {"content": np.concatenate(content)}
    if layout:
        arrays["layout"] = np.concatenate(layout)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
