"""What a person says in words, as parts of a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.search.queries import Query, TextExample
from lookalike.search.words import expand, read_synonyms, understand
from lookalike.storage.words import terms


@dataclass(frozen=True, slots=True)
class InWords:
    """Words as parts of a query.

    Attributes:
        texts: For the model's text side.
        not_texts: The same, of what is not to be seen.
        words: For captions, labels, names and attributes.
        condition: A filter.
    """

    texts: tuple[str, ...] = ()
    not_texts: tuple[str, ...] = ()
    words: str = ""
    condition: str = ""


def in_words(
    collection: Collection,
    texts: Sequence[str] = (),
    words: str | None = None,
    condition: str | None = None,
    synonyms: Path | None = None,
    not_texts: Sequence[str] = (),
) -> InWords:
    """Sort out which words are for the model and which for what is known of pictures.

    Texts are for both, if the model knows words and any picture of the collection has one of
    theirs; if only one of these holds, for that one.

    Args:
        collection: Which is asked.
        texts: What is to be seen, or said of a picture.
        words: What is said of a picture.
        condition: A filter.
        synonyms: A file of words that mean the same.
        not_texts: What is not to be seen; for a model that knows no words, not to be said.

    Raises:
        UsageError: If a text is empty, or makes no sense.
    """
    for text in (*texts, *not_texts):
        TextExample(text)  # which refuses empty ones
    if words is not None and not words.strip():
        raise UsageError("--words is empty; say what is to be found, or leave it out")
    if condition is not None and not condition.strip():
        raise UsageError("--filter is empty; leave it out, or see lookalike help filters")
    asked = [words] if words else []
    is_known = bool(texts) and _known(collection, " ".join(texts))
    if is_known or not collection.card.has_text:
        asked += list(texts)
    if not collection.card.has_text:
        asked += [f"-{word}" for text in not_texts for word in terms(text)]
    found = " ".join(asked)
    if found and synonyms is not None:
        found = expand(found, read_synonyms(synonyms))
    if not collection.card.has_text:
        return InWords((), (), found, condition or "")
    return InWords(tuple(texts), tuple(not_texts), found, condition or "")


def corrections(collection: Collection, query: Query) -> Mapping[str, tuple[str, ...]]:
    """Return which words of a query no picture has, and what was looked for in their place."""
    return understand(query.words, collection.catalog).corrections if query.words else {}


def _known(collection: Collection, text: str) -> bool:
    """Whether any picture has a word of a text, as it stands or misspelled."""
    try:
        query = understand(text, collection.catalog).query
    except UsageError:
        return False  # signs that mean something to the model alone
    return len(collection.catalog.words.match(query)[0]) > 0
