"""Conditions against a catalog whose answers can be read off its pictures."""

import time

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.search.filters import parse_conditions
from lookalike.storage import conditions
from tests.storage.described import make
from tests.storage.stored import failed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    catalog, ids = make(tmp_path_factory.mktemp("filters") / "catalog.sqlite")
    with catalog:
        yield catalog, ids


def passing(place, text):
    catalog, ids = place
    found = catalog.filters.passing(parse_conditions(text))
    assert found.tolist() == sorted(found)
    names = {image: name for name, image in ids.items()}
    return "".join(sorted(names[image] for image in found.tolist()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label:dog", "ac"),
        ("LABEL:Dog", "ac"),
        ("label:do*", "ac"),
        ("label:*o*g*", "ac"),
        ("label:größe", "c"),
        ("given:dog", "a"),
        ("given:cat", "b"),
        ("predicted:dog", "c"),
        ("-label:dog", "bde"),
        ("label:dog -label:cat", "c"),
        ("label:dog OR label:cat", "abc"),
        ("(label:dog color:blue) OR id:2..2", "ab"),
        ("-(label:dog OR label:cat)", "de"),
        ("width:>1000", "a"),
        ("width:>=1000", "ae"),
        ("width:1000", "e"),
        ("height:<=48", "d"),
        ("width:64..300", "bcd"),
        ("size:>2MB", "ae"),
        ("size:2MB", "e"),
        ("size:3000000", "a"),
        ("size:<1kB", "cd"),
        ("size:2..3MB", "ae"),
        ("aspect:>1.5", "e"),
        ("aspect:4:3", "ad"),
        ("aspect:1.33", "ad"),
        ("megapixels:12", "a"),
        ("orientation:landscape", "ade"),
        ("orientation:portrait", "b"),
        ("orientation:square", "c"),
        ("format:jpg", "ae"),
        ("format:tiff", "c"),
        ("taken:2024", "a"),
        ("taken:2024..2025", "ad"),
        ("taken:2024-05-31", "a"),
        ("taken:2024-05-31T14:30", "a"),
        ("taken:2024-06", ""),
        ("taken:>2023", "ad"),
        ("taken:>=2023", "abd"),
        ("taken:<2020", "e"),
        ("taken:..2020", "ce"),
        ("color:blue", "a"),
        ("color:blue>40%", "a"),
        ("color:blue:5..20%", "d"),
        ("color:red:>=80", "d"),
        ("path:holiday", "ab"),
        ("path:HOLIDAY/i", "b"),
        ("path:a*b", "a"),
        ('path:"100%_"', "e"),
        ("path:%", "e"),
        ("path:_", "be"),
        ("name:dog", "d"),
        ('name:="copy of dog.gif"', "d"),
        ("name:=dog", ""),
        ("/img_\\d+/", "b"),
        ("/^\\/p\\/work/", "cd"),
        ("label:/^(dog|hot)$/", "ac"),
        ("caption:/days$/", "d"),
        ('caption:"two dogs"', "a"),
        ('caption:"dogs two"', ""),
        ("caption:dog", "d"),
        ("text:canon", "a"),
        ("text:deja", "d"),
        ("camera:canon", "a"),
        ("camera:=canon", ""),
        ('camera:="canon eos 5d"', "a"),
        ("camera:c*5", "a"),
        ("iso:>=800", "a"),
        ("iso:100..400", "b"),
        ("iso:800", "a"),
        ("has:caption", "abd"),
        ("has:label", "abc"),
        ("has:given", "abc"),
        ("has:color", "abcd"),
        ("has:camera", "ab"),
        ("has:taken", "abcde"),
        ("-has:camera", "cde"),
        ("duplicate:yes", "d"),
        ("duplicate:no", "abce"),
        ("copies:>1", "d"),
        ("id:2..3", "bc"),
        ("width:>1000000", ""),
        ("two beach", "a"),
        ("dogs OR window", "ab"),
    ],
)
def test_what_passes(place, text, expected):
    assert passing(place, text) == expected


def test_captions_and_labels_end_where_they_end(place):
    """No phrase goes from one into the next: neither hot dogs nor a label out of two."""
    assert passing(place, 'caption:"hot dog"') == ""
    assert passing(place, 'caption:"the hot"') == "d"
    assert passing(place, 'text:"größe hot"') == ""


@pytest.mark.parametrize(
    "text",
    [
        "x' OR name:1=1",
        'name:"dog\') OR (1=1"',
        'path:"%\' ; DROP TABLE images; --"',
        'caption:"* OR captions : x"',
        'text:"NEAR(a b)"',
        'camera:"\\" OR 1"',
        '"a \\" quote" x',
    ],
)
def test_no_text_is_taken_for_a_command(place, text):
    assert passing(place, text) == ""
    assert place[0].n_images == 5


@pytest.mark.parametrize(
    "text",
    [
        "-(label:dog id:1 " * 8 + "label:cat" + ")" * 8,
        "(id:1 (has:camera id:2) OR (id:2 " * 8 + "label:cat" + "))" * 8,
        "(" + "a " * 199 + ")",
        "id:1 OR " * 199 + "id:2",
        "-/a/ " * 200,
    ],
)
def test_the_largest_filters_can_be_asked(place, text):
    assert isinstance(passing(place, text), str)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*.*.*.*.*)x", "((a?){30}){30}b"])
def test_a_hostile_pattern_takes_no_time(place, pattern):
    started = time.perf_counter()
    passing(place, f"/{pattern}/")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width:>5 label:dgo", "at character 10: no picture has the label 'dgo'; did you mean dog"),
        ("label:zzz", "no picture has the label 'zzz'$"),
        ("colour:red", "at character 1: unknown key 'colour'; did you mean color"),
        ("camra:canon", "did you mean camera"),
        ("has:camra", "did you mean camera"),
        ("/(a/", "at character 1: /.a/ is no regular expression"),
        (r"/(a)\1/", "is no regular expression"),
    ],
)
def test_what_no_picture_has_is_told(place, text, message):
    with pytest.raises(UsageError, match=message):
        passing(place, text)


def test_conditions_go_into_json_and_back(place):
    for text in ("label:a -width:>3 (color:red OR /x/) caption:b", "name:=c taken:2024"):
        condition = parse_conditions(text)
        assert conditions.from_json(conditions.to_json(condition)) == condition


def test_sorting_by_date_is_newest_first_and_by_name_without_folders(place):
    catalog, ids = place
    wanted = [ids[name] for name in "abcde"]
    by_date = catalog.filters.sort_keys(wanted, "date")
    assert "".join(np.array(list("abcde"))[np.argsort(by_date)]) == "dabce"
    by_name = catalog.filters.sort_keys(wanted, "name")
    # 100%_sure, beach, copy of dog, img_0002, plan
    assert "".join(np.array(list("abcde"))[np.argsort(by_name)]) == "eadbc"
    again = catalog.filters.sort_keys([ids["a"], ids["a"]], "name")
    assert again.tolist() == [0, 0]


@pytest.mark.parametrize("n", [1, 2, 4, 9])
def test_the_newest_are_the_first_by_date(place, monkeypatch, n):
    monkeypatch.setattr("lookalike.storage.filtering._WALKED", 1)
    catalog, ids = place
    wanted = np.array(sorted(ids[name] for name in "abde"))
    order = np.argsort(catalog.filters.sort_keys(wanted, "date"), kind="stable")
    assert catalog.filters.newest(wanted, n).tolist() == wanted[order][:n].tolist()


def test_a_file_that_failed_is_no_image(tmp_path):
    catalog, ids = make(tmp_path / "c.sqlite")
    with catalog:
        from lookalike.storage.records import Batch

        run = catalog.begin_run()
        catalog.commit(Batch((), (failed(b"/p/holiday/broken.jpg"),)), run=run)
        found = catalog.filters.passing(parse_conditions("path:holiday"))
        assert found.tolist() == sorted([ids["a"], ids["b"]])
