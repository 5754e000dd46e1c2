"""Saved searches asked again, results joined, and what is chosen to be exported."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.arrays import NO_ID
from lookalike.asking.answers import answer
from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.images.scanning import display_path
from lookalike.knowing.exporting import Selected
from lookalike.search.algebra import ResultList, evaluate, read_result
from lookalike.search.queries import Example, FileExample, Query

SAVED = "saved:"
"""Begins the name of a saved search in an expression."""


def save_search(collection: Collection, name: str, query: Query, k: int) -> None:
    """Keep a search under a name; files get their absolute paths, so that it holds everywhere.

    Raises:
        UsageError: If the name is no good, or the collection is open for reading only.
    """
    kept = replace(
        query, positives=_absolute(query.positives), negatives=_absolute(query.negatives)
    )
    collection.catalog.knowledge.searches.save(name, kept.to_json(), k)


def run_saved(collection: Collection, name: str, k: int | None = None) -> dict[str, Any]:
    """Ask a saved search again, for as many hits as then if `k` is not given.

    Raises:
        UsageError: If there is none of that name, or it can no longer be asked.
        ImageError: If one of its files is gone.
    """
    saved = collection.catalog.knowledge.searches.open(name)
    return answer(collection, Query.from_json(saved.query), k or saved.k)


def combine(collection: Collection, expression: str, k: int | None = None) -> dict[str, Any]:
    """Join results as an expression says; see `lookalike.search.algebra`.

    Args:
        collection: Whose results.
        expression: Names are `saved:NAME`, or files that a command wrote with `--json`.
        k: Most hits; all if not given.

    Returns:
        Hits as a search gives them, and how many images of the result are no longer there.

    Raises:
        UsageError: If the expression is broken, or a search or file in it is not there.
    """
    found = evaluate(expression, lambda name: _operand(collection, name))
    known = np.isin(found.ids, collection.catalog.ids())
    ids, scores = found.ids[known][:k], found.scores[known][:k]
    hits = [
        {
            "rank": rank,
            "id": record.id,
            "path": display_path(record.paths[0]),
            "score": score,
            "scores": {},
        }
        for rank, (record, score) in enumerate(
            zip(collection.images(ids), scores.tolist(), strict=True), start=1
        )
    ]
    return {"expression": expression, "hits": hits, "gone": int((~known).sum())}


def select_for_export(
    collection: Collection,
    *,
    result: Path | None = None,
    saved: str | None = None,
    ids: Sequence[int] = (),
) -> Selected:
    """Choose what is exported: a result, a saved search asked now, ids, or everything.

    Raises:
        UsageError: If more than one is given, or one is not there.
    """
    if sum((result is not None, saved is not None, bool(ids))) > 1:
        raise UsageError("--from, --saved and --id exclude each other; give one of them")
    if result is not None:
        return _selected(read_hits(result))
    if saved is not None:
        return _selected(_operand(collection, SAVED + saved))
    if ids:
        return Selected(np.array(list(dict.fromkeys(ids)), np.int64))
    return Selected(collection.catalog.ids())


def _operand(collection: Collection, name: str) -> ResultList:
    if not name.startswith(SAVED):
        return read_hits(Path(name))
    saved = collection.catalog.knowledge.searches.open(name.removeprefix(SAVED))
    hits = collection.search(Query.from_json(saved.query), saved.k)
    found = hits.ids[0] != NO_ID
    scores = zip(hits.ids[0][found].tolist(), hits.scores[0][found].tolist(), strict=True)
    return ResultList.of(dict(scores))


def _selected(found: ResultList) -> Selected:
    return Selected(found.ids, found.by_id())


def _absolute(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    return tuple(
        FileExample(str(Path(each.path).expanduser().absolute()))
        if isinstance(each, FileExample)
        else each
        for each in examples
    )


def read_hits(path: Path) -> ResultList:
    """Read the hits of a file that a command wrote with `--json`.

    Raises:
        UsageError: If it is not there or holds no hits.
    """
    return read_result(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read a text file that a person named.

    Raises:
        UsageError: If it is not there, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8; give another file") from None
