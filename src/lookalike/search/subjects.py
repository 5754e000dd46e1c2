"""A catalog of subjects: a tree over labels, with the number of pictures beneath each node.

A picture belongs to a node if it has the node's own label or one of a node beneath. Labels that
the tree does not know can be placed where pictures look most alike.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids, normalize
from lookalike.errors import UsageError
from lookalike.storage.catalog import Catalog

PAGE: Final = 4096
"""Images whose labels are read at a time."""

_PICTURES_PER_LABEL: Final = 200
"""Images by which a label is placed."""

_LEAST_ALIKE: Final = 0.3
"""Similarity from which on a place is proposed."""

COCO: Final[Mapping[str, str]] = {
    "person": "person",
    "vehicle": "bicycle car motorcycle airplane bus train truck boat",
    "outdoor": "traffic light;fire hydrant;stop sign;parking meter;bench",
    "animal": "bird cat dog horse sheep cow elephant bear zebra giraffe",
    "accessory": "backpack umbrella handbag tie suitcase",
    "sports": "frisbee;skis;snowboard;sports ball;kite;baseball bat;baseball glove;skateboard;"
    "surfboard;tennis racket",
    "kitchen": "bottle;wine glass;cup;fork;knife;spoon;bowl",
    "food": "banana;apple;sandwich;orange;broccoli;carrot;hot dog;pizza;donut;cake",
    "furniture": "chair;couch;potted plant;bed;dining table;toilet",
    "electronic": "tv;laptop;mouse;remote;keyboard;cell phone",
    "appliance": "microwave oven toaster sink refrigerator",
    "indoor": "book;clock;vase;scissors;teddy bear;hair drier;toothbrush",
}
"""Supercategories of COCO and their categories (T.-Y. Lin et al., *Microsoft COCO*, ECCV 2014)."""


@dataclass(frozen=True)
class Taxonomy:
    """A tree of subjects.

    Attributes:
        nodes: Name and parent of each node, parents before their children; `None` at the top.

    Raises:
        UsageError: If a name occurs twice, is empty, or a parent does not come before its child.
    """

    nodes: tuple[tuple[str, str | None], ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name, parent in self.nodes:
            if not name.strip():
                raise UsageError("a subject of the tree has no name; give it one")
            if name in seen:
                raise UsageError(f"the subject {name!r} is twice in the tree; leave one out")
            if parent is not None and parent not in seen:
                raise UsageError(f"{name!r} is beneath {parent!r}, which is not in the tree above")
            seen.add(name)

    @cached_property
    def parents(self) -> dict[str, str | None]:
        """Parent of each node."""
        return dict(self.nodes)

    @cached_property
    def _ancestors(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, parent in self.nodes:
            found[name] = (name, *(found[parent] if parent is not None else ()))
        return found

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return a node, its parent and so on to the top; nothing for what is not in the tree."""
        return self._ancestors.get(name, ())

    def children(self, name: str | None) -> list[str]:
        """Return the nodes right beneath one, or those at the top."""
        return [child for child, parent in self.nodes if parent == name]

    def beneath(self, name: str) -> list[str]:
        """Return a node and all that lie anywhere beneath it.

        Raises:
            UsageError: If there is no such node.
        """
        if name not in self.parents:
            raise UsageError(f"there is no subject {name!r} in the tree; `--json` lists all")
        return [node for node, _ in self.nodes if name in self.ancestors(node)]

    def placed(self, label: str, parent: str) -> "Taxonomy":
        """Return the tree with a node moved to another parent, or new there, with all beneath it.

        Raises:
            UsageError: If there is no such parent, or it lies beneath the node itself.
        """
        if parent not in self.parents:
            raise UsageError(f"there is no subject {parent!r} to put {label!r} beneath")
        moved = self.beneath(label) if label in self.parents else [label]
        if parent in moved:
            raise UsageError(f"{label!r} cannot be put beneath {parent!r}, which is beneath it")
        kept = [node for node in self.nodes if node[0] not in moved]
        beneath = [(node, self.parents[node]) for node in moved if node != label]
        return Taxonomy((*kept, (label, parent), *beneath))

    @classmethod
    def from_text(cls, text: str) -> "Taxonomy":
        r"""Read a tree from lines, each beneath the nearest line above that is indented less.

        Empty lines and lines that begin with `#` are left out.

        Raises:
            UsageError: If the tree makes no sense; the message names the line or the subject.

        Example:
            >>> Taxonomy.from_text("animal\n  dog\n  cat\n").children("animal")
            ['dog', 'cat']
        """
        nodes: list[tuple[str, str | None]] = []
        open_: list[tuple[int, str]] = []
        for number, line in enumerate(text.splitlines(), start=1):
            name = line.strip()
            if not name or name.startswith("#"):
                continue
            indent = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
            while open_ and open_[-1][0] >= indent:
                open_.pop()
            if indent and not open_:
                raise UsageError(f"line {number} ({name!r}) is indented, but beneath nothing")
            nodes.append((name, open_[-1][1] if open_ else None))
            open_.append((indent, name))
        return cls(tuple(nodes))

    @classmethod
    def from_json(cls, content: Any) -> "Taxonomy":
        """Read a tree from nested objects, whose innermost values may be lists of names.

        Raises:
            UsageError: If it is something else.

        Example:
            >>> Taxonomy.from_json({"animal": ["dog", "cat"], "thing": {"car": {}}}).nodes[1]
            ('dog', 'animal')
        """
        return cls(tuple(_walk(content, None)))

    @classmethod
    def read(cls, text: str) -> "Taxonomy":
        """Read a tree from JSON if it begins with a brace, otherwise from indented lines.

        Raises:
            UsageError: If it is neither.
        """
        if not text.lstrip().startswith("{"):
            return cls.from_text(text)
        try:
            return cls.from_json(json.loads(text))
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"the tree of subjects is no valid JSON: {error}") from None


def _walk(content: Any, parent: str | None) -> Iterable[tuple[str, str | None]]:
    if isinstance(content, Mapping):
        for name, inner in content.items():
            yield str(name), parent
            yield from _walk(inner, str(name))
    elif isinstance(content, list) and all(isinstance(name, str) for name in content):
        yield from ((name, parent) for name in content)
    else:
        raise UsageError(f"a tree of subjects is objects and lists of names, not {content!r:.40}")


def default_taxonomy(labels: Sequence[str]) -> Taxonomy:
    """Return COCO's supercategories as far as they fit: only those with a label beneath."""
    nodes: list[tuple[str, str | None]] = []
    for subject, names in COCO.items():
        all_of_it = names.split(";") if ";" in names else names.split(" ")
        found = [name for name in all_of_it if name in labels and name != subject]
        if found or subject in labels:
            nodes += [(subject, None), *((name, subject) for name in found)]
    return Taxonomy(tuple(nodes))


def taxonomy_of(catalog: Catalog) -> Taxonomy:
    """Return the tree of a collection; where none was stored, the default one."""
    nodes = catalog.knowledge.subjects.nodes()
    if nodes:
        return Taxonomy(tuple(nodes))
    return default_taxonomy(catalog.knowledge.subjects.labels())


@dataclass(frozen=True, slots=True)
class Facet:
    """A node with its number of pictures.

    Attributes:
        name: Of the node.
        pictures: Pictures that belong to it.
        n_children: Nodes right beneath.
    """

    name: str
    pictures: int
    n_children: int


def count_facets(
    catalog: Catalog,
    taxonomy: Taxonomy,
    parent: str | None = None,
    *,
    ids: Ids | None = None,
    least: float = 0.5,
) -> tuple[list[Facet], int]:
    """Count the pictures of each node right beneath `parent`; a picture may belong to several.

    Args:
        catalog: Of the collection.
        taxonomy: The tree.
        parent: `None` for the top.
        ids: Only these pictures, as a filter or a search gave them; `None` for all.
        least: Probability from which on a label counts.

    Returns:
        Nodes in the order of the tree, and the number of pictures that belong to `parent` (at the
        top: to any node).

    Raises:
        UsageError: If there is no such node, or `least` is not above 0.
    """
    if parent is not None:
        taxonomy.beneath(parent)
    if not 0 < least <= 1:
        raise UsageError(f"the smallest probability must be above 0 and at most 1, not {least:g}")
    wanted = catalog.ids() if ids is None else np.unique(ids)
    counts: Counter[str | None] = Counter()
    for start in range(0, len(wanted), PAGE):
        page = wanted[start : start + PAGE].tolist()
        for _, labels in catalog.knowledge.subjects.believed(least, page):
            nodes = {node for label in labels for node in taxonomy.ancestors(label)}
            counts.update(nodes)
            counts[None] += bool(nodes)
    facets = [
        Facet(name, counts[name], len(taxonomy.children(name)))
        for name in taxonomy.children(parent)
    ]
    return facets, counts[parent]


def pictures_of(
    catalog: Catalog,
    taxonomy: Taxonomy,
    subject: str,
    k: int,
    *,
    ids: Ids | None = None,
    least: float = 0.5,
) -> list[tuple[int, float]]:
    """Return the `k` most probable pictures of a subject or anything beneath it, and how probable.

    Raises:
        UsageError: If there is no such node.
    """
    known = set(catalog.knowledge.subjects.labels())
    best: dict[int, float] = {}
    allowed = None if ids is None else set(ids.tolist())
    for label in taxonomy.beneath(subject):
        if label in known:
            n = k if allowed is None else catalog.n_images
            for image_id, probability, _ in catalog.knowledge.annotations.find(label, n, least):
                if allowed is None or image_id in allowed:
                    best[image_id] = max(probability, best.get(image_id, 0.0))
    return sorted(best.items(), key=lambda item: (-item[1], item[0]))[:k]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Where a label might be placed.

    Attributes:
        label: A label that the tree does not know.
        parent: Node to put it beneath; `None` if nothing in the tree looks like it.
        like: The label there that looks most alike; `None` if none there has pictures.
        similarity: Cosine of the mean embeddings of both.
    """

    label: str
    parent: str | None
    like: str | None
    similarity: float


def propose_places(
    catalog: Catalog, taxonomy: Taxonomy, descriptor: str = "content", *, least: float = 0.5
) -> list[Proposal]:
    """Propose a place for each label that the tree does not know: beside the label most like it.

    Labels are compared by the mean of the embeddings, less that of all labels, of their most
    probable pictures.
    """
    labels = catalog.knowledge.subjects.labels()
    means = {label: _mean(catalog, label, descriptor, least) for label in labels}
    found = {label: mean for label, mean in means.items() if mean is not None}
    middle = np.mean(list(found.values()), axis=0) if found else 0.0
    units = {label: normalize(mean - middle) for label, mean in found.items()}
    # Under its parent a label has siblings; what stands at the top by itself places nothing.
    placed = [label for label in found if taxonomy.parents.get(label) is not None]
    proposals = []
    for label in labels:
        if label in taxonomy.parents:
            continue
        likes = [(float(units[label] @ units[p]), p) for p in placed] if label in units else []
        similarity, like = max(likes, default=(0.0, ""))
        if similarity >= _LEAST_ALIKE:
            proposals.append(Proposal(label, taxonomy.parents[like], like, similarity))
        else:
            proposals.append(Proposal(label, None, like or None, similarity))
    return sorted(proposals, key=lambda each: (-each.similarity, each.label))


def _mean(
    catalog: Catalog, label: str, descriptor: str, least: float
) -> Float64[ndarray, " dim"] | None:
    hits = catalog.knowledge.annotations.find(label, _PICTURES_PER_LABEL, least)
    if not hits:
        return None
    rows = normalize(catalog.vectors([image_id for image_id, _, _ in hits], descriptor))
    mean: ndarray = rows.mean(axis=0).astype(np.float64)
    return mean
