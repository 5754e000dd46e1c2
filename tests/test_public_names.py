import ast
from pathlib import Path

import pytest

import lookalike


def test_public_names_are_sorted_and_few():
    assert lookalike.__all__ == sorted(
        lookalike.__all__, key=lambda name: (name[0].islower(), name)
    )
    assert len(lookalike.__all__) <= 20


@pytest.mark.parametrize("name", lookalike.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(lookalike, name).__doc__


def test_type_checkers_and_the_running_program_see_the_same_names():
    tree = ast.parse(Path(lookalike.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("lookalike")
        for alias in node.names
    }
    assert imported == {name: f"lookalike.{home}" for name, home in lookalike._HOMES.items()}
    assert sorted(imported) == sorted(lookalike.__all__)


def test_unknown_names_are_unknown():
    with pytest.raises(AttributeError, match="has no attribute 'Colection'"):
        lookalike.Colection  # noqa: B018
