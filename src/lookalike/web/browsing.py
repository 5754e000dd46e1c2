"""The tree of subjects as pages and REST show it."""

from lookalike.collection import Collection
from lookalike.search.subjects import Taxonomy, taxonomy_of


def whole_tree(collection: Collection) -> Taxonomy:
    """Return the tree of subjects, with labels that it does not know at its top."""
    tree = taxonomy_of(collection.catalog)
    others = [
        label
        for label in collection.catalog.knowledge.subjects.labels()
        if label not in tree.parents
    ]
    return Taxonomy((*tree.nodes, *((label, None) for label in others)))
