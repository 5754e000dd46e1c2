"""What the pages say is true: commands, options, measures, links and the example of the README.

`LOOKALIKE_WRITE_DOCS=1 .venv/bin/pytest tests/test_documentation.py` writes docs/command-line.md.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer import rich_utils
from typer.main import get_command

from lookalike import Collection, judge, open_dataset
from lookalike.cli import app
from tests.small_sets import write_masks, write_pictures
from tests.tiny_model import write_tiny_model

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "command-line.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def all_commands(group, *words):
    """Commands by what is typed for them: `search`, `model import`."""
    found = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= (
            all_commands(command, *words, name) if inner else {" ".join([*words, name]): command}
        )
    return found


COMMANDS = all_commands(get_command(app))
NAMES = "|".join(sorted(COMMANDS, key=len, reverse=True))
WIDTH = 100

INTRODUCTION = """\
# Command line

What each command says when it is asked with `--help`. Written from the program itself by
`tests/test_documentation.py`.

- Results go to standard output, everything else to standard error. With `--json` exactly one JSON
  object is printed, an error too: `{"error": …, "exit_code": …}`.
- Every option is also read from the environment: `LOOKALIKE_` and its name in capitals, `_` for
  `-`. `LOOKALIKE_K=20` is `-k 20`, `LOOKALIKE_MAX_MEGABYTES=500` is `--max-megabytes 500`,
  `LOOKALIKE_JSON=1` is `--json`. What is typed counts more.
- What exit codes mean is told in [collections.md](collections.md#when-something-goes-wrong), what
  data sets are called in [datasets.md](datasets.md#in-words), and what is measured in
  [measuring.md](measuring.md).
- An interrupted `index`, by Ctrl-C, a signal or a power cut, goes on where it was when it is typed
  again.
"""


def help_of(*words: str) -> str:
    """What the program prints for `lookalike words… --help` on a terminal of fixed width."""
    console = Console(width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    with pytest.MonkeyPatch.context() as patch, console.capture() as printed:
        patch.setattr(rich_utils, "_get_rich_console", lambda stderr=False: console)
        app([*words, "--help"], prog_name="lookalike", standalone_mode=False)
    lines = [line.rstrip() for line in printed.get().splitlines()]
    return "\n".join(lines).strip("\n")


def page() -> str:
    parts = [INTRODUCTION, f"## lookalike\n\n```text\n{help_of()}\n```\n"]
    parts += [
        f"## lookalike {name}\n\n```text\n{help_of(*name.split())}\n```\n" for name in COMMANDS
    ]
    return "\n".join(parts)


def test_the_page_of_commands_is_what_the_program_says():
    expected = page()
    if os.environ.get("LOOKALIKE_WRITE_DOCS"):
        PAGE.write_text(expected, "utf-8")
    assert PAGE.read_text("utf-8") == expected, "write it anew with LOOKALIKE_WRITE_DOCS=1"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_fit_a_terminal(name):
    heading, *examples = COMMANDS[name].epilog.splitlines()
    assert heading == "Examples:"
    assert examples
    for example in examples:
        assert example.startswith(f"lookalike {name} ")
        assert len(example) <= 78


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_of_examples_exist(name):
    options = COMMANDS[name].params
    known = {flag for option in options for flag in (*option.opts, *option.secondary_opts)}
    for example in COMMANDS[name].epilog.splitlines()[1:]:
        used = re.findall(r"(?<=\s)--?[a-z][a-z-]*", example.partition("   ")[0])
        assert set(used) <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_a_name_in_the_environment(name):
    for option in COMMANDS[name].params:
        assert option.help, option.name
        if option.param_type_name == "option":
            longest = max(option.opts, key=len).strip("-").replace("-", "_")
            assert option.envvar == f"LOOKALIKE_{longest.upper()}"


def test_commands_shown_in_pages_exist():
    named = {
        word
        for path in PAGES
        for word in re.findall(
            rf"^(?:\./run )?lookalike ({NAMES}|[a-z]+)\b", path.read_text("utf-8"), re.M
        )
    }
    assert named
    assert named <= set(COMMANDS)


def test_options_shown_in_pages_exist():
    known = {
        flag
        for command in COMMANDS.values()
        for option in command.params
        for flag in (*option.opts, *option.secondary_opts)
    }
    for path in PAGES:
        for name, words in re.findall(
            rf"^(?:\./run )?lookalike ({NAMES}) ([^#\n]*)", path.read_text("utf-8"), re.M
        ):
            used = re.findall(r"(?<=\s)--[a-z][a-z-]*", f" {words}")
            assert set(used) <= known, f"{path.name}: lookalike {name} {words}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere():
    for path in PAGES:
        text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith(("http://", "https://")):
                continue
            file, _, anchor = target.partition("#")
            place = (path.parent / file).resolve() if file else path
            assert place.exists(), f"{path.name} links to {target}"
            if anchor:
                assert anchor in anchors(place), f"{path.name} links to {target}"


def test_every_measure_is_explained(tmp_path):
    write_masks(tmp_path / "outfits", 12)
    write_tiny_model(tmp_path / "tiny")
    with Collection.create(tmp_path / "c.lookalike", model=tmp_path / "tiny") as photos:
        photos.add(tmp_path / "outfits" / "images", workers=0)
        found = judge(photos, open_dataset(tmp_path / "outfits"), n_clusters=3)
    rows = re.findall(r"^\|.*?\| `(\w+)` \|", (ROOT / "docs" / "measuring.md").read_text(), re.M)
    of_measures = set(found.to_json()["random"]) | {"clustering"}
    assert set(rows) == of_measures
    of_all = re.findall(r"`(\w+)`", (ROOT / "docs" / "measuring.md").read_text())
    assert set(found.to_json()) <= set(of_all)


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    [code] = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    home = tmp_path / "home"
    paths = write_pictures(home / "Pictures", 8)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "my-model")
    for name in set(re.findall(r"[\w-]+\.jpg", code)):
        shutil.copyfile(paths[3], tmp_path / name)
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].endswith(f"{bytes(paths[3])!r}")
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
