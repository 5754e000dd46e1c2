"""From a condition to the ids of the images that pass, in one question to SQLite.

The question is put together from texts that stand here; whatever a person typed is bound as a
value. Regular expressions are those of RE2, whose time grows only with the length of the text.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, Literal, TypeAlias

import numpy as np
import re2
from jaxtyping import Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.storage.attributes import TAKEN
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.conditions import (
    NUMBER_KEYS,
    All,
    Colored,
    Condition,
    Contains,
    Either,
    Matches,
    Named,
    Not,
    Says,
    Within,
)
from lookalike.storage.database import Database
from lookalike.storage.words import phrase_text

Sql: TypeAlias = tuple[str, tuple[str | float | int, ...]]
SortKey: TypeAlias = Literal["date", "name"]

_NEWEST: Final = (
    "SELECT image_id FROM image_attributes WHERE key = 'taken' AND is_effective = 1 "
    "AND number IS NOT NULL ORDER BY number DESC, image_id"
)
_WALKED: Final = 1_024

_PATTERN_MEMORY: Final = 1 << 22

_NUMBERS: Final[Mapping[str, str]] = {
    "width": "images.width",
    "height": "images.height",
    "size": "images.n_bytes",
    "aspect": "(1.0 * images.width / images.height)",
    "megapixels": "(images.width * images.height / 1e6)",
    "id": "images.id",
    "copies": "(SELECT count(*) FROM files WHERE image_id = images.id)",
}

_FACTS: Final[Mapping[tuple[str, str], str]] = {
    ("orientation", "landscape"): "images.width > images.height",
    ("orientation", "portrait"): "images.width < images.height",
    ("orientation", "square"): "images.width = images.height",
    ("has", "caption"): "EXISTS (SELECT 1 FROM descriptions WHERE descriptions.hash = images.hash "
    "AND kind = 'caption')",
    ("has", "label"): "EXISTS (SELECT 1 FROM image_labels WHERE image_id = images.id "
    "AND probability >= 0.5)",
    ("has", "given"): "EXISTS (SELECT 1 FROM image_labels WHERE image_id = images.id "
    "AND probability >= 0.5 AND provenance <> 'model')",
    ("has", "color"): "EXISTS (SELECT 1 FROM image_colors WHERE image_id = images.id)",
}

_OF_LABELS: Final[Mapping[str, str]] = {
    "label": "",
    "given": "AND provenance <> 'model'",
    "predicted": "AND provenance = 'model'",
}


class Filtering:
    """Asks one catalog for images by what is known of them."""

    def __init__(self, opened: Database) -> None:
        self._database = opened

    def passing(self, condition: Condition, copies: Callable[[], Ids] | None = None) -> Ids:
        """Return the ids, ascending, of the images that pass.

        Args:
            condition: What is asked.
            copies: Gives the ids of images with near-duplicates, asked when `duplicate` needs them;
                without, only one picture in several files is a duplicate.

        Raises:
            UsageError: If it names a label or an attribute that no image has, or a regular
                expression is none.
        """
        with self._database.reading() as connection:
            text, values = _Compiler(connection, copies).sql(condition)
            rows = connection.execute(
                f"SELECT images.id FROM images WHERE {text} ORDER BY images.id", values
            )
            pairs = np.fromiter(rows, np.dtype([("id", np.int64)]))
        return pairs["id"].copy()

    def attribute_keys(self) -> list[str]:
        """Return the keys of all attributes that any image has, sorted."""
        with self._database.reading() as connection:
            return _attribute_keys(connection)

    def sort_keys(self, ids: Sequence[int] | Ids, by: SortKey) -> Int64[ndarray, " items"]:
        """Return for each image its place by date or name, from 0; equal ones share a place.

        Dates are those of `taken`, newest first, images without any at the end. Names are those of
        the files without their folders, and without regard to case.
        """
        wanted = [int(image_id) for image_id in ids]
        find = _dates if by == "date" else _first_names
        found: dict[int, float | str] = {}
        with self._database.reading() as connection:
            for chunk in chunked(sorted(set(wanted))):
                found.update(find(connection, chunk))
        places: dict[float | str, int] = {
            key: place
            for place, key in enumerate(sorted(set(found.values()), reverse=by == "date"))
        }
        nowhere = len(places)
        return np.array([places[found[i]] if i in found else nowhere for i in wanted], np.int64)

    def newest(self, ids: Ids, n: int) -> Int64[ndarray, " newest"]:
        """Return those `n` of the images that `sort_keys` by date puts first, in this order.

        Dates are walked from the newest on until there are enough, however many images there are.

        Args:
            ids: Of images, ascending; equal dates are ordered by them.
            n: Images wanted; fewer come where there are fewer.
        """
        found = [np.empty(0, np.int64)]
        with self._database.reading() as connection:
            cursor = connection.execute(_NEWEST)
            while sum(map(len, found)) < n and (rows := cursor.fetchmany(_WALKED)):
                dated = np.fromiter((row[0] for row in rows), np.int64, len(rows))
                found.append(dated[np.isin(dated, ids)])
            newest = np.concatenate(found)[:n]
            if len(newest) < n:
                newest = np.append(newest, np.setdiff1d(ids, newest)[: n - len(newest)])
        return newest


class _Compiler:
    """Turns conditions into SQL over the table `images`."""

    def __init__(
        self, connection: sqlite3.Connection, copies: Callable[[], Ids] | None = None
    ) -> None:
        self._connection = connection
        self._copies = copies
        self._n_functions = 0

    def sql(self, condition: Condition) -> Sql:
        match condition:
            case All(parts):
                return self._joined(parts, " AND ")
            case Either(parts):
                return self._joined(parts, " OR ")
            case Not(part):
                text, values = self.sql(part)
                return f"NOT ({text})", values
            case Within():
                return self._within(condition)
            case Named():
                return self._named(condition)
            case Contains():
                return self._contains(condition)
            case Says(key, phrase):
                columns = ("captions",) if key == "caption" else ()
                return (
                    "images.id IN (SELECT rowid FROM words WHERE words MATCH ?)",
                    (phrase_text(phrase, columns),),
                )
            case Matches():
                return self._matches(condition)
            case Colored(name, low, high):
                return (
                    "images.id IN (SELECT image_id FROM image_colors WHERE name = ? "
                    "AND share BETWEEN ? AND ?)",
                    (name, low, high),
                )

    def _joined(self, parts: Sequence[Condition], word: str) -> Sql:
        compiled = [self.sql(part) for part in parts]
        text = word.join(f"({text})" for text, _ in compiled)
        return text, tuple(value for _, values in compiled for value in values)

    def _within(self, condition: Within) -> Sql:
        is_own = condition.key in NUMBER_KEYS
        column = _NUMBERS[condition.key] if is_own else "number"
        bounds = [
            (f"{column} {'>' if condition.above else '>='} ?", condition.low),
            (f"{column} {'<' if condition.below else '<='} ?", condition.high),
        ]
        text = " AND ".join(text for text, value in bounds if value is not None)
        values = tuple(value for _, value in bounds if value is not None)
        if is_own:
            return text, values
        self._check_attribute(condition.key, condition.at)
        return _of_attribute(condition.key, text, values)

    def _named(self, condition: Named) -> Sql:
        key, name = condition.key, condition.name
        if key in _OF_LABELS:
            return self._labeled(condition)
        if key == "format":
            return "images.format = ? COLLATE NOCASE", (name,)
        if key == "duplicate":
            return self._duplicate(name)
        if (key, name) in _FACTS:
            return _FACTS[key, name], ()
        # What remains is has:KEY of an attribute.
        self._check_attribute(name, condition.at)
        return _of_attribute(name, "1", ())

    def _duplicate(self, name: str) -> Sql:
        ids = [] if self._copies is None else self._copies().tolist()
        text = (
            "(SELECT count(*) FROM files WHERE image_id = images.id) > 1 "
            "OR images.id IN (SELECT value FROM json_each(?))"
        )
        return f"({text})" if name == "yes" else f"NOT ({text})", (json.dumps(ids),)

    def _labeled(self, condition: Named) -> Sql:
        folded = condition.name.casefold()
        ids = [label_id for label_id, name in self._labels() if _is_like(name, folded)]
        if not ids and "*" not in folded:
            near = _nearest(folded, [name for _, name in self._labels()])
            raise UsageError(
                _at(condition.at, f"no picture has the label {condition.name!r}{near}")
            )
        return (
            f"images.id IN (SELECT image_id FROM image_labels WHERE label_id IN "
            f"({', '.join(map(str, ids))}) AND probability >= 0.5 {_OF_LABELS[condition.key]})",
            (),
        )

    def _labels(self) -> list[tuple[int, str]]:
        return self._connection.execute("SELECT id, name FROM labels").fetchall()

    def _contains(self, condition: Contains) -> Sql:
        if condition.key not in ("path", "name"):
            self._check_attribute(condition.key, condition.at)
            test, values = self._text_test("value", condition)
            return _of_attribute(condition.key, test, values)
        column = "display"
        if condition.key == "name":
            self._connection.create_function("base_name", 1, _base_name, deterministic=True)
            column = "base_name(display)"
        test, values = self._text_test(column, condition)
        return (
            f"images.id IN (SELECT image_id FROM files WHERE image_id IS NOT NULL AND {test})",
            values,
        )

    def _text_test(self, column: str, condition: Contains) -> Sql:
        text = condition.text
        if "*" in text:
            pattern = ".*".join(re2.escape(piece) for piece in text.split("*"))
            whole = f"^(?s:{pattern})$" if condition.whole else f"(?s:{pattern})"
            return f"{self._function(_matcher(whole, condition.at))}({column})", ()
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return (
            f"{column} LIKE ? ESCAPE '\\'",
            (escaped if condition.whole else f"%{escaped}%",),
        )

    def _matches(self, condition: Matches) -> Sql:
        matches = self._function(_matcher(condition.pattern, condition.at))
        match condition.key:
            case "path":
                source = f"FROM files WHERE image_id IS NOT NULL AND {matches}(display)"
            case "caption":
                source = (
                    "FROM (SELECT images.id AS image_id, value FROM descriptions JOIN images "
                    f"USING (hash) WHERE kind = 'caption') WHERE {matches}(value)"
                )
            case _:
                source = (
                    "FROM image_labels WHERE label_id IN (SELECT id FROM labels "
                    f"WHERE {matches}(name)) AND probability >= 0.5 {_OF_LABELS[condition.key]}"
                )
        return f"images.id IN (SELECT image_id {source})", ()

    def _function(self, function: Callable[[str], bool]) -> str:
        """Make a function known to SQLite under a name that this question has not used."""
        self._n_functions += 1
        name = f"matches_{self._n_functions}"
        self._connection.create_function(name, 1, function, deterministic=True)
        return name

    def _check_attribute(self, key: str, at: int) -> None:
        keys = _attribute_keys(self._connection)
        if key not in keys and key != TAKEN:
            raise UsageError(
                _at(at, f"unknown key {key!r}{_nearest(key, [*KEYS, *keys])}; all keys: ")
                + "lookalike help filters"
            )


KEYS: Final = (
    *NUMBER_KEYS,
    *_OF_LABELS,
    *("caption", "text", "path", "name", "format", "orientation", "has", "duplicate", "color"),
    TAKEN,
)
"""All keys but those of attributes."""


def _of_attribute(key: str, test: str, values: tuple[str | float | int, ...]) -> Sql:
    return (
        f"images.id IN (SELECT image_id FROM image_attributes WHERE key = ? AND {test} "
        "AND is_effective = 1)",
        (key, *values),
    )


def _attribute_keys(connection: sqlite3.Connection) -> list[str]:
    # Leaps from one key of the index to the next, so that it does not matter how many images have
    # each.
    rows = connection.execute(
        "WITH RECURSIVE found (key) AS (SELECT min(key) FROM image_attributes "
        "WHERE is_effective = 1 UNION ALL SELECT (SELECT min(key) FROM image_attributes "
        "WHERE is_effective = 1 AND key > found.key) FROM found WHERE key IS NOT NULL) "
        "SELECT key FROM found WHERE key IS NOT NULL"
    )
    return [key for (key,) in rows]


def _matcher(pattern: str, at: int) -> Callable[[str], bool]:
    options = re2.Options()
    options.log_errors, options.case_sensitive = False, False
    options.max_mem = _PATTERN_MEMORY
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise UsageError(
            _at(at, f"/{pattern}/ is no regular expression that is known here: {reason}; ")
            + "see lookalike help filters"
        ) from error
    return lambda text: compiled.search(text) is not None


def _is_like(name: str, folded: str) -> bool:
    """Whether a name is `folded`, in which `*` stands for any letters."""
    name = name.casefold()
    if "*" not in folded:
        return name == folded
    first, *middle, last = folded.split("*")
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    rest = name[len(first) : len(name) - len(last)]
    for piece in middle:
        at = rest.find(piece)
        if at < 0:
            return False
        rest = rest[at + len(piece) :]
    return True


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _at(at: int, what: str) -> str:
    return f"the filter, at character {at}: {what}" if at else what


def _dates(connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, float | str]]:
    # The signs keep SQLite from walking through all dates instead.
    return connection.execute(
        "SELECT image_id, number FROM image_attributes WHERE +key = 'taken' AND +is_effective = 1 "
        f"AND +number IS NOT NULL AND image_id IN ({placeholders(ids)})",
        ids,
    ).fetchall()


def _first_names(
    connection: sqlite3.Connection, ids: Sequence[int]
) -> list[tuple[int, float | str]]:
    rows = connection.execute(
        "SELECT image_id, display FROM files "
        f"WHERE image_id IN ({placeholders(ids)}) ORDER BY path DESC",
        ids,
    )
    return [(image_id, _base_name(display).casefold()) for image_id, display in rows]
