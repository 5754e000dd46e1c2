"""The words of images in SQLite's full-text index, changed in step with what they are made of.

One row for each image, in columns: captions, given labels, labels that the model predicts, names
of files below the folder that was indexed, attributes. Captions and labels are divided by a token
that no query holds, so that no phrase goes across them.

`terms` holds every word ever met, cut into trigrams, among which a misspelled one is looked for.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.images.files import display_path
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database

COLUMNS: Final = ("captions", "labels", "predicted", "names", "attributes")

WEIGHTS: Final = (4.0, 6.0, 2.0, 2.0, 1.0)
"""What a word counts in each column: a given label says most, a camera's name least."""

DIVIDER: Final = "¦"

MOST_CANDIDATES: Final = 400
"""Words alike in trigrams whose distance is looked at."""

_TABLES: Final = (
    f"""CREATE VIRTUAL TABLE words USING fts5(
        {", ".join(COLUMNS)}, tokenize = "unicode61 remove_diacritics 2 tokenchars '{DIVIDER}'"
    )""",
    "CREATE VIRTUAL TABLE words_vocabulary USING fts5vocab('words', 'row')",
    # Whichever way an image goes, its words go with it.
    """CREATE TRIGGER words_of_deleted AFTER DELETE ON images
        BEGIN DELETE FROM words WHERE rowid = old.id; END""",
    "CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE) STRICT",
    "CREATE VIRTUAL TABLE term_trigrams USING fts5(term, tokenize = 'trigram')",
)

_WORD: Final = re.compile(r"[^\W_]+")
_PAD: Final = "__"
_LONGEST_TERM: Final = 40

_TEXTS: Final = """
    SELECT id,
        (SELECT group_concat(value, ' ¦ ') FROM descriptions
         WHERE descriptions.hash = images.hash AND kind = 'caption'),
        (SELECT group_concat(name, ' ¦ ') FROM image_labels JOIN labels ON labels.id = label_id
         WHERE image_id = images.id AND provenance <> 'model' AND probability >= 0.5),
        (SELECT group_concat(name, ' ¦ ') FROM image_labels JOIN labels ON labels.id = label_id
         WHERE image_id = images.id AND provenance = 'model' AND probability >= 0.5),
        (SELECT group_concat(value, ' ¦ ') FROM image_attributes
         WHERE image_id = images.id AND is_effective = 1 AND key <> 'taken')
    FROM images WHERE id IN ({marks})
"""


@dataclass(frozen=True, slots=True)
class WordQuery:
    """Words as the full-text index is asked for them.

    Attributes:
        groups: Any number of words or phrases each, one of which must be there for the group to
            count; the more groups an image has, the better it matches.
        excluded: Words or phrases that must not be there.
        prefix: Whether the first of the last group may go on after its end.
    """

    groups: tuple[tuple[str, ...], ...]
    excluded: tuple[str, ...] = ()
    prefix: bool = False


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    for statement in _TABLES:
        connection.execute(statement)


def clear(connection: sqlite3.Connection) -> None:
    """Empty the index, whatever state it is in."""
    connection.execute("DROP TABLE words")
    connection.execute(_TABLES[0])


def fill(connection: sqlite3.Connection) -> None:
    """Make the words of all images anew."""
    after = 0
    while True:
        rows = connection.execute(
            "SELECT id FROM images WHERE id > ? ORDER BY id LIMIT 500", (after,)
        ).fetchall()
        if not rows:
            return
        after = rows[-1][0]
        refresh(connection, [image_id for (image_id,) in rows])


def refresh(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Make the words of images anew, after anything that they are made of has changed."""
    for chunk in chunked(ids):
        marks = placeholders(chunk)
        names = _names(connection, chunk)
        connection.execute(f"DELETE FROM words WHERE rowid IN ({marks})", chunk)
        rows = [
            (image_id, captions or "", labels or "", predicted or "", names[image_id], rest or "")
            for image_id, captions, labels, predicted, rest in connection.execute(
                _TEXTS.format(marks=marks), chunk
            )
        ]
        connection.executemany(
            f"INSERT INTO words (rowid, {', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
        _learn_terms(connection, {term for row in rows for text in row[1:] for term in terms(text)})


def problems(connection: sqlite3.Connection) -> list[str]:
    """Tell what is wrong with the full-text index; all of it is put right by `clear` and `fill`."""
    try:
        (n_words,) = connection.execute("SELECT count(*) FROM words").fetchone()
        (n_images,) = connection.execute("SELECT count(*) FROM images").fetchone()
        (n_missing,) = connection.execute(
            "SELECT count(*) FROM images WHERE id NOT IN (SELECT rowid FROM words)"
        ).fetchone()
        # Counting reads every page of the index.
        (n_found,) = connection.execute(
            "SELECT coalesce(sum(cnt), 0) FROM words_vocabulary"
        ).fetchone()
        n_tokens = sum(
            sum(_varints(sizes)) for (sizes,) in connection.execute("SELECT sz FROM words_docsize")
        )
    except sqlite3.DatabaseError as error:
        return [f"the index of words cannot be read: {error}"]
    if n_missing or n_words != n_images:
        return [f"the index of words holds {n_words} of {n_images} images"]
    if n_found != n_tokens:
        return [f"the index of words holds {n_found} of {n_tokens} words"]
    return []


def terms(text: str) -> list[str]:
    """Return the words of a text as the index knows them: small letters without diacritics.

    Example:
        >>> terms("Two Größe_2-dogs, déjà vu")
        ['two', 'große', '2', 'dogs', 'deja', 'vu']
    """
    if text.isascii():
        return _WORD.findall(text.lower())
    plain = unicodedata.normalize("NFKD", text.lower())
    return _WORD.findall("".join(char for char in plain if not unicodedata.combining(char)))


class WordIndex:
    """The words of the images of one catalog."""

    def __init__(self, opened: Database) -> None:
        self._database = opened

    @property
    def folder(self) -> Path:
        """The folder in which the catalog lies."""
        return self._database.path.parent

    def match(self, query: WordQuery) -> tuple[Ids, Float64[ndarray, " items"]]:
        """Return all images that have any of the words, ascending, and how well each matches.

        The measure is Okapi BM25 with `WEIGHTS` for the columns (Robertson and Zaragoza, *The
        Probabilistic Relevance Framework: BM25 and Beyond*, 2009), k1 = 1.2 and b = 0.75; above 0,
        more is better.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT rowid, -bm25(words, {', '.join(map(str, WEIGHTS))}) FROM words "
                "WHERE words MATCH ? ORDER BY rowid",
                (match_text(query),),
            )
            pairs = np.fromiter(rows, np.dtype([("id", np.int64), ("bm25", np.float64)]))
        return pairs["id"].copy(), pairs["bm25"].copy()

    def ids_named(self, name: str) -> set[int]:
        """Return the images of files whose path is `name` or ends so, after a slash."""
        if not terms(name):
            return set()
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT image_id, display FROM files WHERE image_id IN "
                "(SELECT rowid FROM words WHERE words MATCH ?)",
                (phrase_text(name.rpartition("/")[2], ("names",)),),
            )
            return {
                image_id
                for image_id, display in rows
                if display == name or display.endswith(f"/{name.lstrip('/')}")
            }

    def count(self, term: str) -> int:
        """Return how many images have a word that is written exactly so."""
        with self._database.reading() as connection:
            return _count(connection, term)

    def begins(self, term: str) -> bool:
        """Whether any image has a word that begins so."""
        after = term[:-1] + chr(ord(term[-1]) + 1)
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT 1 FROM words_vocabulary WHERE term >= ? AND term < ? LIMIT 1", (term, after)
            ).fetchone()
        return row is not None

    def similar(self, term: str, distance: int) -> list[str]:
        """Return those words of the images that are nearest in spelling, best known first.

        Args:
            term: A word that no image has.
            distance: Largest number of letters that were left out, added, changed or swapped.

        References:
            Damerau, *A technique for computer detection and correction of spelling errors*, 1964.
        """
        grams = _trigrams(term)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT terms.term FROM term_trigrams JOIN terms ON terms.id = term_trigrams.rowid "
                "WHERE term_trigrams MATCH ? AND length(terms.term) BETWEEN ? AND ? "
                "ORDER BY term_trigrams.rank LIMIT ?",
                (
                    " OR ".join(map(_quoted, grams)),
                    len(term) - distance,
                    len(term) + distance,
                    MOST_CANDIDATES,
                ),
            ).fetchall()
            near = [(edit_distance(term, found), found) for (found,) in rows]
            best = min((far for far, _ in near), default=distance + 1)
            if best > distance:
                return []
            counted = [(-_count(connection, found), found) for far, found in near if far == best]
        return [found for n, found in sorted(counted) if n < 0]


def edit_distance(first: str, second: str) -> int:
    """Return how many letters must be added, left out, changed or swapped with their neighbor.

    Example:
        >>> edit_distance("hosre", "horse"), edit_distance("dog", "dogs"), edit_distance("", "ab")
        (1, 1, 2)
    """
    earlier: list[int] = []
    above = list(range(len(second) + 1))
    for i, a in enumerate(first):
        row = [i + 1]
        for j, b in enumerate(second):
            cost = min(above[j] + (a != b), above[j + 1] + 1, row[j] + 1)
            if i and j and a == second[j - 1] and first[i - 1] == b:
                cost = min(cost, earlier[j - 1] + 1)
            row.append(cost)
        earlier, above = above, row
    return above[-1]


def match_text(query: WordQuery) -> str:
    """Return the question in the language of FTS5: only quoted texts and what stands here."""
    groups = [
        " OR ".join(
            _quoted(text) + ("*" if query.prefix and (at, n) == (len(query.groups) - 1, 0) else "")
            for n, text in enumerate(group)
        )
        for at, group in enumerate(query.groups)
    ]
    wanted = " OR ".join(f"({group})" for group in groups)
    if not query.excluded:
        return wanted
    return f"({wanted}) NOT ({' OR '.join(map(_quoted, query.excluded))})"


def phrase_text(text: str, columns: Sequence[str] = ()) -> str:
    """Return the question for a phrase, in some of the `COLUMNS` only if any are given."""
    named = f"{{{' '.join(columns)}}} : " if columns else ""
    return named + _quoted(text)


def _varints(data: bytes) -> Iterator[int]:
    """Read the numbers, below 2 ** 56, in which FTS5 notes the lengths of texts."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            yield value
            value = 0


def _quoted(text: str) -> str:
    return '"' + text.replace("\0", " ").replace('"', '""') + '"'


def _names(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, str]:
    names: dict[int, list[str]] = {image_id: [] for image_id in ids}
    rows = connection.execute(
        "SELECT image_id, files.path, roots.path FROM files JOIN roots ON roots.id = root_id "
        f"WHERE image_id IN ({placeholders(ids)}) ORDER BY files.path",
        ids,
    )
    for image_id, path, root in rows:
        below = path[len(root) :] if path != root else path[path.rfind(b"/") :]
        names[image_id].append(display_path(below))
    return {image_id: f" {DIVIDER} ".join(texts) for image_id, texts in names.items()}


def _learn_terms(connection: sqlite3.Connection, found: set[str]) -> None:
    # Numbers are not misspelled: another number is another thing.
    known = sorted(t for t in found if len(t) <= _LONGEST_TERM and not any(map(str.isdigit, t)))
    for chunk in chunked(known):
        new = connection.execute(
            "INSERT OR IGNORE INTO terms (term) VALUES "
            f"{', '.join(['(?)'] * len(chunk))} RETURNING id, term",
            chunk,
        ).fetchall()
        connection.executemany(
            "INSERT INTO term_trigrams (rowid, term) VALUES (?, ?)",
            ((term_id, f"{_PAD}{term}{_PAD}") for term_id, term in new),
        )


def _trigrams(term: str) -> list[str]:
    padded = f"{_PAD}{term}{_PAD}"
    return list(dict.fromkeys(padded[at : at + 3] for at in range(len(padded) - 2)))


def _count(connection: sqlite3.Connection, term: str) -> int:
    row = connection.execute("SELECT doc FROM words_vocabulary WHERE term = ?", (term,)).fetchone()
    return 0 if row is None else int(row[0])
