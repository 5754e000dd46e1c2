"""Searching in words: captions, labels, file names and attributes, ranked by BM25.

A text is words, phrases in quotation marks, and either with a minus before it, which then must not
be there; `dog|hound` stands for either. Any word makes an image a match; the more of them it has,
and the rarer they are, the better. The last word may be unfinished. A word that no image has is
taken for those that are nearest in spelling. `synonyms.txt` in the collection's folder tells which
words mean the same, a line for each group: `dog, hound, puppy`.

The score is the rarity of the match: `log10((n + 1) / m)`, where `m` of `n` images match at least
as well. So it means the same as that of a descriptor: 3 is one image in a thousand.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.search.filters import parse_filter
from lookalike.search.parts import Context, Proposal
from lookalike.search.queries import Query
from lookalike.storage.catalog import Catalog
from lookalike.storage.conditions import Not, Says
from lookalike.storage.words import WordQuery, terms

NAME: Final = "words"
"""Key of the part in weights and hits."""

SYNONYMS: Final = "synonyms.txt"

LONGEST: Final = 1_000
MOST_WORDS: Final = 64
MOST_CORRECTIONS: Final = 3
_LARGEST_FILE: Final = 1 << 20

_ALTERNATIVE: Final = re.compile(r'"([^"]*)"|[^\s|"]+')
_SPACE: Final = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Words:
    """A text taken apart.

    Attributes:
        groups: Words and phrases, any of which counts once for each group.
        excluded: What must not be there.
        is_open: Whether the last word may be unfinished.
    """

    groups: tuple[tuple[str, ...], ...]
    excluded: tuple[str, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Understood:
    """How a text is looked up.

    Attributes:
        query: For the full-text index.
        corrections: For each word that no image has, those that are taken in its place.
    """

    query: WordQuery
    corrections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@final
class WordsPart:
    """The part of a query that is words.

    Args:
        ids: Of all images that match, ascending.
        relevance: How well each matches; more is better.
        n_images: All images of the collection.
    """

    def __init__(self, ids: Ids, relevance: Float64[ndarray, " items"], n_images: int) -> None:
        self._ids = ids
        self._scores = rarities(relevance, n_images)

    @property
    def name(self) -> str:
        """Its key in weights and hits."""
        return NAME

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the `n` best matches, and all that match as well as the last of them."""
        passing = np.ones(len(self._ids), bool) if allowed is None else np.isin(self._ids, allowed)
        ids, scores = self._ids[passing], self._scores[passing]
        if len(ids) > n:
            least = np.partition(scores, len(scores) - n)[len(scores) - n]
            ids = ids[scores >= least]
        return Proposal(ids)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the rarity of each image's match in decades; 0 for images without any."""
        if len(self._ids) == 0:
            return np.zeros(len(ids))
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        found: ndarray = np.where(self._ids[places] == ids, self._scores[places], 0.0)
        return found


def rarities(relevance: Float64[ndarray, " items"], n_images: int) -> Float64[ndarray, " items"]:
    """Return `log10((n_images + 1) / m)` for each match, where `m` match at least as well.

    Example:
        >>> rarities(np.array([2.0, 5.0, 2.0]), 99).round(2)
        array([1.52, 2.  , 1.52])
    """
    # What differs in the last digits only is the same match, added up in another order.
    rounded = np.round(relevance, 9)
    at_least = len(rounded) - np.searchsorted(np.sort(rounded), rounded)
    result: ndarray = np.log10((n_images + 1) / at_least)
    return result


def make_words_part(query: Query, context: Context) -> list[WordsPart]:
    """Return the part of a query's words; none where it has none."""
    if not query.words:
        return []
    understood = understand(query.words, context.catalog)
    ids, relevance = context.catalog.words.match(understood.query)
    return [WordsPart(ids, relevance, context.catalog.n_images)]


def parse_words(text: str) -> Words:
    """Take a text apart.

    Raises:
        UsageError: If it has no word, too many, or a quotation mark that is not closed.

    Example:
        >>> parse_words('"two dogs"|puppies grass -cat')
        Words(groups=(('two dogs', 'puppies'), ('grass',)), excluded=('cat',), is_open=False)
        >>> parse_words("gras").is_open
        True
    """
    if len(text) > LONGEST:
        raise UsageError(f"the words have {len(text)} characters; the limit is {LONGEST}")
    groups: list[tuple[str, ...]] = []
    excluded: list[str] = []
    is_open = False
    for alternatives, is_excluded, is_plain in _groups(text):
        if is_excluded:
            excluded.extend(alternatives)
        else:
            groups.append(alternatives)
        is_open = is_plain and not is_excluded and len(alternatives) == 1
    if not groups and not excluded:
        raise UsageError(f"there is no word in {text!r}; say what is to be seen")
    if len(groups) + len(excluded) > MOST_WORDS:
        raise UsageError(f"the text has more than {MOST_WORDS} words; give the most telling ones")
    is_open = is_open and not text[-1:].isspace()
    return Words(tuple(groups), tuple(excluded), is_open)


def understand(text: str, catalog: Catalog) -> Understood:
    """Return how a text is looked up in a collection, with its synonyms and without misspellings.

    Raises:
        UsageError: If the text makes no sense, has only words that must not be there, or
            `synonyms.txt` cannot be read.
    """
    words = parse_words(text)
    if not words.groups:
        raise UsageError(
            f"{text!r} only says what must not be there; add a word to look for, or use a filter"
        )
    synonyms = _own_synonyms(catalog)
    corrections: dict[str, tuple[str, ...]] = {}
    groups = []
    for at, group in enumerate(words.groups):
        is_open = words.is_open and at == len(words.groups) - 1
        wider = _with_synonyms(group, synonyms)
        if len(wider) == 1 and (near := _corrected(wider[0], catalog, is_open=is_open)):
            corrections[wider[0]] = near
            wider = _with_synonyms(near, synonyms)
        groups.append(wider)
    return Understood(WordQuery(tuple(groups), words.excluded, words.is_open), corrections)


def with_words_sorted_out(query: Query) -> Query:
    """Return a query in which words rank and conditions filter, whichever field they stood in.

    Words beside the conditions of a filter become words of the query; words with a minus become
    conditions.

    Raises:
        UsageError: If either makes no sense.
    """
    if not query.words and not query.filter:
        return query
    asked = parse_filter(query.filter) if query.filter else None
    text = f"{query.words} {asked.words}" if asked and asked.words else query.words
    words = parse_words(text) if text else Words(())
    conditions = [str(asked.condition)] if asked and asked.condition else []
    conditions += [str(Not(Says("text", each))) for each in words.excluded]
    if not words.excluded and (asked is None or not asked.words):
        return query
    kept = " ".join("|".join(map(_written, group)) for group in words.groups)
    kept += "" if words.is_open or not kept else " "
    return replace(query, words=kept, filter=" ".join(conditions))


def read_synonyms(path: Path) -> list[tuple[str, ...]]:
    """Read groups of words that mean the same: a line each, divided by commas; `#` begins notes.

    Raises:
        UsageError: If a line has only one word, or the file is no text or very large.
        EnvironmentFault: If it cannot be read.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path} is larger than {_LARGEST_FILE >> 20} MiB; is it a list?")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text ({error.reason}); save it as such") from error
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
    groups = []
    for number, line in enumerate(lines, start=1):
        words = tuple(word.strip() for word in line.partition("#")[0].split(","))
        if words == ("",):
            continue
        if len(words) < 2 or not all(terms(word) for word in words):
            raise UsageError(
                f"{path}, line {number}: {line.strip()!r} is no group of words with commas between "
                "them, such as: dog, hound, puppy"
            )
        groups.append(words)
    return groups


def expand(text: str, synonyms: Sequence[tuple[str, ...]]) -> str:
    """Return a text in which each word that has synonyms stands with them.

    Example:
        >>> expand('dog "on grass" -cat', [("dog", "hound")])
        'dog|hound "on grass" -cat'
    """
    pieces = []
    for alternatives, is_excluded, _ in _groups(text):
        wider = alternatives if is_excluded else _with_synonyms(alternatives, synonyms)
        sign = "-" if is_excluded else ""
        pieces.append(sign + "|".join(map(_written, wider)))
    return " ".join(pieces)


def _groups(text: str) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """Give each group of alternatives, whether it is excluded, and whether it is a bare word."""
    at = _skip(text, 0)
    while at < len(text):
        is_excluded = text[at] == "-" and text[at + 1 : at + 2].strip() != ""
        start = at = at + is_excluded
        alternatives = []
        while found := _ALTERNATIVE.match(text, at):
            word = found[0] if found[1] is None else found[1]
            if terms(word):
                alternatives.append(word)
            at = found.end()
            if text[at : at + 1] != "|":
                break
            at += 1
        else:
            if text[at : at + 1] == '"':
                raise UsageError(
                    f"the words, at character {at + 1}: this quotation mark is not closed"
                )
            at += text[at : at + 1] == "|"
        if alternatives:
            yield tuple(alternatives), is_excluded, text[start] != '"'
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _written(word: str) -> str:
    return word if re.fullmatch(r'[^\s|"-][^\s|"]*', word) else f'"{word}"'


def _own_synonyms(catalog: Catalog) -> list[tuple[str, ...]]:
    path = catalog.words.folder / SYNONYMS
    return read_synonyms(path) if path.is_file() else []


def _with_synonyms(group: tuple[str, ...], synonyms: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    wider = dict.fromkeys(group)
    for word in group:
        for same in synonyms:
            if terms(word) in map(terms, same):
                wider.update(dict.fromkeys(same))
    known: dict[tuple[str, ...], str] = {}
    for word in wider:
        known.setdefault(tuple(terms(word)), word)
    return tuple(known.values())


def _corrected(word: str, catalog: Catalog, *, is_open: bool) -> tuple[str, ...]:
    """Return what a word may have been meant for; nothing if any image has it, or none is near."""
    found = terms(word)
    if len(found) != 1 or len(found[0]) < 4 or any(map(str.isdigit, found[0])):
        return ()
    [term] = found
    if catalog.words.count(term) or (is_open and catalog.words.begins(term)):
        return ()
    distance = 1 if len(term) < 8 else 2
    return tuple(catalog.words.similar(term, distance)[:MOST_CORRECTIONS])
