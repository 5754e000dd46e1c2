"""The examples of docs/datasets.md are true."""

import doctest
import re
from pathlib import Path

import pytest

from tests.datasets.tiny_sets import save_mask, save_picture

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files_of(tree: str) -> list[Path]:
    """Read the paths of the files from a drawn folder tree."""
    top, *lines = tree.splitlines()
    stack, files = [Path(top)], []
    for line in lines:
        branch, name = re.fullmatch(r"((?:│   |    )*)[├└]── (\S+)", line).groups()
        path = stack[len(branch) // 4] / name
        del stack[len(branch) // 4 + 1 :]
        if name.endswith("/"):
            stack.append(path)
        else:
            files.append(path)
    return files


def write(path: Path) -> None:
    if path.suffix == ".jpg":
        save_picture(path, 8, 6)
    elif path.parent.name == "masks":
        save_mask(path, [[0, 3, 3, 3, 8, 8, 8, 255]] * 6)


def test_the_examples_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sessions = []
    shown: set[Path] = set()
    for language, name, text in FENCE.findall(PAGE.read_text("utf-8")):
        if language == "text" and not name:
            shown.update(files_of(text))
        elif language == "pycon":
            sessions.append(text)
        elif name:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text, "utf-8")
    for path in shown:
        write(path)
    assert {path for path in Path().rglob("*") if path.is_file()} == shown
    assert _failures("".join(sessions)) == []


def _failures(session: str) -> list[str]:
    failures: list[str] = []
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(parser.get_doctest(session, {}, PAGE.name, str(PAGE), 0), out=failures.append)
    return failures
