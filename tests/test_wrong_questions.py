"""Wrong input of every way to ask: one clear line, exit code 2, and never a traceback."""

import numpy as np
import pytest

from lookalike import Collection
from lookalike.__main__ import run
from lookalike.features.descriptors import read_names
from lookalike.search.clusters import make_clusters
from tests.small_sets import save, write_pictures
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    write_tiny_model(folder / "tiny")
    write_pictures(folder / "pictures", 6)
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.choose_descriptors(read_names("all"))
        made.add(folder / "pictures", workers=0)
        make_clusters(made.catalog, "content", k=2)
    save(folder / "strange.png", np.full((8, 8, 3), (1, 200, 77), np.uint8))
    save(folder / "empty.png", np.full((8, 8, 3), 255, np.uint8))
    (folder / "query.json").write_text('{"positives": [{"id": 1}], "smell": 3}')
    (folder / "notes.csv").write_text("picture,caption\n")
    (folder / "odd.txt").write_text("not a picture")
    return folder


SEARCHES = {
    "box outside the picture": ["--id", "1", "--box", "0,0,4000,10"],
    "box of three numbers": ["--id", "1", "--box", "0,0,4"],
    "more boxes than pictures": ["--id", "1", "--box", "0,0,4,4", "--box", "0,0,4,4"],
    "palette without the color": ["--layout", "strange.png"],
    "nothing painted": ["--layout", "empty.png"],
    "unknown label": ["--layout", "unicorn@0,0,1,1"],
    "layout box outside": ["--layout", "red@0,0,2,1"],
    "percentages over 100": ["--colors", "red:80,blue:40"],
    "unknown color": ["--colors", "octarine:10"],
    "no percentage": ["--colors", "red:many"],
    "sketch that is no picture": ["--sketch", "odd.txt"],
    "swatch that is not there": ["--texture", "none.png"],
    "shape that is blank": ["--shape", "empty.png"],
    "clause without a region": ["--clause", "position=beneath"],
    "clause of nothing": ["--clause", "smell=good"],
    "unclosed parenthesis": ["--filter", "(width:>10"],
    "unknown key": ["--filter", "smell:good"],
    "broken expression": ["--filter", "/[a-/"],
    "empty filter": ["--filter", " "],
    "empty words": ["--words", ""],
    "empty text": ["--text", " "],
    "negative only": ["--not-id", "1"],
    "negative words only": ["--not-text", "red"],
    "no query": [],
    "unknown id": ["--id", "4711"],
    "unknown descriptor": ["--id", "1", "--weight", "smell=1"],
    "weights of zero": ["--id", "1", "--weight", "content=0"],
    "too few example weights": ["--id", "1", "--id", "2", "--example-weights", "1"],
    "no number": ["--id", "1", "--min-score", "nan"],
    "no hits": ["--id", "1", "-k", "0"],
    "address without leave": ["--url", "https://example.org/a.jpg"],
    "query with an unknown part": ["--query", "query.json"],
    "session that does not go on": ["--undo"],
    "marked twice": ["--id", "1", "--like", "2", "--hate", "2"],
    "list order of marks": ["--id", "1", "--like", "2", "--order", "list"],
}

OTHERS = {
    "unknown cluster": ["label", "add", "c.lookalike", "dog", "--cluster", "99"],
    "nothing to propagate": ["label", "propagate", "c.lookalike"],
    "nothing to undo": ["label", "undo", "c.lookalike"],
    "no clusters": ["clusters", "c.lookalike", "-k", "0"],
    "unknown subject": ["subjects", "c.lookalike", "unicorn"],
    "unknown saved search": ["combine", "c.lookalike", "saved:none"],
    "broken algebra": ["combine", "c.lookalike", "("],
    "unknown format": ["export", "c.lookalike", "--to", "smell"],
    "zip without a file": ["export", "c.lookalike", "--to", "zip"],
    "radius": ["duplicates", "c.lookalike", "--threshold", "99"],
    "no decision": ["duplicates", "c.lookalike", "--decide", "burn=1"],
    "nothing liked": ["propose", "c.lookalike", "--dislike", "1"],
    "table without pictures": ["annotate", "c.lookalike", "--from", "notes.csv"],
    "unknown descriptor": ["index", "c.lookalike", "pictures", "--descriptors", "smell"],
    "palette of nothing": ["palette", "odd.txt"],
    "map of an unknown descriptor": ["map", "c.lookalike", "--descriptor", "smell"],
    "no number of queries": ["compare-indexes", "c.lookalike", "--queries", "0"],
}

TOLD = {
    "box outside the picture": "does not lie in the picture, which is 32 pixels wide and 32 high",
    "palette without the color": "#01c84d, which stands for no class of the model",
    "unknown label": "no label 'unicorn'; it knows red, green, blue",
    "percentages over 100": "120 % of the picture together; give 100 or less",
    "shape that is blank": "shape",
    "empty filter": "--filter is empty",
    "empty words": "--words is empty",
    "empty text": "the words of a query are empty",
    "negative only": "negative examples alone matches nearly everything; add at least one image",
    "negative words only": "only says what must not be there",
    "label: unknown cluster": "99",
    "combine: broken algebra": "(",
}
"""What the line says, where the way to ask was made for it."""

COMMANDS = {name: ["search", "c.lookalike", *words] for name, words in SEARCHES.items()}
COMMANDS |= {f"{words[0]}: {name}": words for name, words in OTHERS.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_input_is_told_in_one_line(place, monkeypatch, capsys, name):
    monkeypatch.chdir(place)
    assert run(COMMANDS[name]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = [line for line in printed.err.splitlines() if line.strip()]
    assert line.startswith("lookalike: ")
    assert TOLD.get(name.removeprefix("search: "), "") in line


@pytest.mark.parametrize(
    ("text", "at"), [("(width:>10", 1), ("width:>10 smell:good", 11), ("width:> OR", 8)]
)
def test_a_broken_filter_is_pointed_at(place, monkeypatch, capsys, text, at):
    monkeypatch.chdir(place)
    assert run(["search", "c.lookalike", "--filter", text]) == 2
    assert f"at character {at}:" in capsys.readouterr().err
