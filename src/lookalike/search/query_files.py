"""Queries in files: a search that was stored can be asked again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import write_atomically
from lookalike.errors import UsageError
from lookalike.search.examples import FileExample, RegionExample
from lookalike.search.queries import Query

_MOST_BYTES: Final = 1 << 26


def save_query(query: Query, file: Path) -> None:
    """Write a query as JSON; files that are examples are named by their whole path.

    Raises:
        UsageError: If `file` is a folder.
        EnvironmentFault: If it cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"the query cannot be saved as {file}, a folder; name a JSON file")
    anywhere = replace(
        query,
        positives=tuple(map(_anywhere, query.positives)),
        negatives=tuple(map(_anywhere, query.negatives)),
        composition=query.composition and query.composition.with_examples(_anywhere),
    )
    text = json.dumps(anywhere.to_json(), indent=2, ensure_ascii=True)
    write_atomically(file, f"{text}\n".encode())


def read_query(file: Path) -> Query:
    """Read a query that was saved, or written by hand.

    Raises:
        UsageError: If it cannot be read, is no JSON, or no query.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{file} is too large for a query; name a file that --save wrote")
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"the query {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{file} is no JSON: {error}; name a file that --save wrote") from error
    return Query.from_json(content)


def _anywhere(example: Any) -> Any:
    """Name a file by its whole path; the kind of example stays."""
    if isinstance(example, FileExample):
        return FileExample.of(Path(example.path).expanduser().absolute())
    if isinstance(example, RegionExample):
        return replace(example, example=_anywhere(example.example))
    return example
