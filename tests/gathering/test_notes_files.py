"""Tables and JSON files that say something of pictures."""

import json

import pytest

from lookalike.errors import DatasetError
from lookalike.gathering.notes_files import read_notes


@pytest.mark.parametrize("ending", ["csv", "tsv", "json"])
def test_files_say_the_same_in_every_format(tmp_path, ending):
    path = tmp_path / f"notes.{ending}"
    if ending == "json":
        entry = {"image": "a.jpg", "captions": ["Two, dogs"], "labels": ["dog", "cat"], "stars": 5}
        path.write_text(json.dumps([entry]))
    else:
        line = (
            'A.jpg,"Two, dogs",dog; cat,5\n'
            if ending == "csv"
            else "a.jpg\tTwo, dogs\tdog; cat\t5\n"
        )
        header = "image,caption,labels,stars\n"
        text = header + line.lower().replace("two", "Two")
        path.write_text(
            text
            if ending == "csv"
            else text.replace("image,caption,labels,stars", "image\tcaption\tlabels\tstars")
        )
    [note] = read_notes(path)
    assert (note.target, note.captions, note.labels) == ("a.jpg", ("Two, dogs",), ("dog", "cat"))
    assert note.attributes == {"stars": "5"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "one must be called"),
        ("a.csv", "caption\nx\n", "one must be called image"),
        ("a.csv", "image,caption\na\n", "line 2 has 1 columns and the header 2"),
        ("a.csv", "image,caption\n,x\n", "line 2: the column 'image' is empty"),
        ("a.csv", 'image,caption\na,"x\n', "no table"),
        ("a.json", "{", "is no JSON"),
        ("a.json", "{}", "no list of objects"),
        ("a.json", "[1]", "entry 1 is no object"),
        ("a.json", '[{"caption": "x"}]', "names no picture"),
        ("a.json", '[{"image": "x", "labels": [1]}]', "texts or lists of texts"),
        ("a.json", '[{"image": "x", "stars": [1]}]', "no text and no number"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=message):
        list(read_notes(tmp_path / name))
