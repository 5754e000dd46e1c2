import inspect
import os
import re
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import UsageError
from lookalike.images.files import content_hash, display_path
from lookalike.images.scanning import FoundFile, SkippedFile, scan
from tests.images.painted import encoded, painted

PNG = encoded(painted(), "PNG")


def found(*roots) -> list[str]:
    return [
        Path(os.fsdecode(entry.path)).name for entry in scan(roots) if isinstance(entry, FoundFile)
    ]


def reasons(*roots) -> dict[str, str]:
    return {
        Path(os.fsdecode(entry.path)).name: entry.reason
        for entry in scan(roots)
        if isinstance(entry, SkippedFile)
    }


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return folder


def test_files_come_sorted_by_name_and_folders_in_their_place(tmp_path):
    fill(tmp_path, "b.png", "c/2.png", "c/1.png", "a.png", "d.png", "c/0/x.png")
    assert found(tmp_path) == ["a.png", "b.png", "x.png", "1.png", "2.png", "d.png"]


def test_entry_says_what_is_known_of_the_file(tmp_path):
    fill(tmp_path, "a.png")
    os.utime(tmp_path / "a.png", ns=(1, 1_234_567_890_123_456_789))
    (entry,) = scan([tmp_path])
    assert entry == FoundFile(
        path=os.fsencode(tmp_path / "a.png"),
        size=len(PNG),
        mtime_ns=1_234_567_890_123_456_789,
        root=os.fsencode(tmp_path),
    )


def test_paths_are_absolute(tmp_path, monkeypatch):
    fill(tmp_path, "sub/a.png")
    monkeypatch.chdir(tmp_path)
    (entry,) = scan(["./sub/../sub/"])
    assert entry.path == os.fsencode(tmp_path / "sub" / "a.png")
    assert entry.root == os.fsencode(tmp_path / "sub")


def test_nothing_is_looked_at_before_its_turn(tmp_path):
    fill(tmp_path, "a.png", "b.png", "c.png")
    entries = scan([tmp_path])
    assert isinstance(next(entries), FoundFile)
    (tmp_path / "b.png").unlink()
    assert next(entries).reason == "no such file or directory"
    assert isinstance(next(entries), FoundFile)


def test_links_are_not_followed(tmp_path):
    outside = fill(tmp_path / "outside", "secret.png")
    inside = fill(tmp_path / "inside", "a.png")
    (inside / "loop").symlink_to(inside)
    (inside / "out").symlink_to(outside)
    (inside / "out.png").symlink_to(outside / "secret.png")
    (inside / "broken.png").symlink_to("nowhere")
    assert found(inside) == ["a.png"]
    assert set(reasons(inside)) == {"loop", "out", "out.png", "broken.png"}
    assert set(reasons(inside).values()) == {"a symbolic link, which is not followed"}


def test_root_may_be_a_link(tmp_path):
    fill(tmp_path / "real", "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (entry,) = scan([tmp_path / "link"])
    assert entry.path == os.fsencode(tmp_path / "link" / "a.png")


def test_what_is_no_file_is_skipped(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        assert reasons(tmp_path) == {
            "pipe.png": "a named pipe, no file",
            "socket.png": "a socket, no file",
        }


def test_hidden_things_and_those_of_other_programs_are_skipped(tmp_path):
    fill(tmp_path, ".git/a.png", ".thumbnails/a.png", "@eaDir/a.png", ".a.png", "p.lookalike/a.png")
    assert found(tmp_path) == []
    assert reasons(tmp_path) == {
        ".a.png": "a hidden file",
        ".git": "a hidden folder",
        ".thumbnails": "a hidden folder",
        "@eaDir": "a folder of the system, not of pictures",
        "p.lookalike": "a collection of this program",
    }


def test_hidden_folder_can_be_asked_for(tmp_path):
    fill(tmp_path / ".hidden", "a.png")
    assert found(tmp_path / ".hidden") == ["a.png"]


def test_first_bytes_count_where_the_name_promises_nothing(tmp_path):
    fill(tmp_path, "photo", "photo.dat", "photo.jpg.bak", "raw.nef")
    for name, content in {
        "notes.txt": b"hello",
        "Makefile": b"",
        "bm.txt": b"BM: body mass",
    }.items():
        (tmp_path / name).write_bytes(content)
    assert found(tmp_path) == ["photo", "photo.dat", "photo.jpg.bak"]
    skipped = reasons(tmp_path)
    assert skipped.pop("raw.nef") == "a raw camera file, which cannot be read"
    assert set(skipped) == {"notes.txt", "Makefile", "bm.txt"}
    assert set(skipped.values()) == {"not a picture, neither by its name nor by its first bytes"}


def test_picture_s_name_is_enough(tmp_path):
    (tmp_path / "a.JPG").write_bytes(b"hello")
    assert found(tmp_path) == ["a.JPG"]


@pytest.mark.parametrize("order", [1, -1])
def test_overlapping_roots_give_each_file_once_with_its_innermost_root(tmp_path, order):
    fill(tmp_path, "a.png", "sub/b.png", "sub/deep/c.png", "sub/.h/d.png")
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    roots = [tmp_path, tmp_path / "sub", tmp_path / "sub" / ".h", tmp_path, tmp_path / "link"]
    entries = [entry for entry in scan(roots[::order]) if isinstance(entry, FoundFile)]
    by_name = {entry.path.split(b"/")[-1]: Path(os.fsdecode(entry.root)).name for entry in entries}
    assert len(entries) == 4
    assert by_name[b"a.png"] == tmp_path.name
    assert by_name[b"b.png"] == by_name[b"c.png"]
    assert by_name[b"b.png"] in ("sub", "link")
    assert by_name[b"d.png"] == ".h"


@pytest.mark.parametrize("order", [1, -1])
def test_file_that_is_its_own_root_comes_once(tmp_path, order):
    fill(tmp_path, "a.png", "b.png", ".c.png")
    (tmp_path / "link").symlink_to(tmp_path / "a.png")
    roots = [
        tmp_path,
        tmp_path / "a.png",
        tmp_path / "a.png",
        tmp_path / ".c.png",
        tmp_path / "link",
    ]
    entries = [entry for entry in scan(roots[::order]) if isinstance(entry, FoundFile)]
    assert len(entries) == 3
    assert len([entry for entry in entries if entry.root == entry.path]) == 2


def test_hard_links_are_two_files(tmp_path):
    fill(tmp_path, "a.png")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    assert found(tmp_path) == ["a.png", "b.png"]


def test_missing_root_is_named_before_anything_is_walked(tmp_path):
    fill(tmp_path, "a.png")
    with pytest.raises(UsageError, match=r"/lost\\n: no such file or directory; give folders"):
        scan([tmp_path, tmp_path / "lost\n"])


def test_root_must_be_a_folder_or_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe is a named pipe, no file; give a folder"):
        scan([tmp_path / "pipe"])


def test_no_roots_and_empty_folders_give_nothing(tmp_path):
    assert list(scan([])) == list(scan([tmp_path])) == []


def test_folder_too_deep_to_be_opened_is_skipped(tmp_path):
    name, depth = "d" * 200, 25
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=folder)
        folder, parent = os.open(name, os.O_RDONLY, dir_fd=folder), folder
        os.close(parent)
    os.close(folder)
    (entry,) = scan([tmp_path])
    assert isinstance(entry, SkippedFile)
    assert entry.reason == "file name too long"


def test_folder_without_permission_is_skipped():
    with TemporaryDirectory() as name:
        folder = fill(Path(name), "closed/a.png", "open/b.png")
        folder.chmod(0o755)
        (folder / "closed").chmod(0)
        usual = os.geteuid()
        if usual == 0:
            os.seteuid(65534)  # root may read everything
        try:
            assert found(folder) == ["b.png"]
            assert reasons(folder) == {"closed": "permission denied"}
        finally:
            os.seteuid(usual)
            (folder / "closed").chmod(0o700)


def test_folders_nest_deeper_than_recursion(tmp_path):
    deep = tmp_path
    for _ in range(400):
        deep = deep / "d"
        deep.mkdir()
    fill(deep, "a.png")
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        assert found(tmp_path) == ["a.png"]
    finally:
        sys.setrecursionlimit(usual)


ODD_NAMES = [
    b"new\nline.png",
    b"\xff\xfe.png",
    b"-rf.png",
    "ü".encode() + b".png",
    b"u\xcc\x88.png",
    b"<b>&amp;.png",
    b"%2e%2e%2f.png",
    "\u202egnp.exe.png".encode(),
    b"x" * 251 + b".png",
    b"\x1b[31m.png",
    b" .png",
]


def test_odd_names_come_through_and_stay_distinct(tmp_path):
    for name in ODD_NAMES:
        (tmp_path / os.fsdecode(name)).write_bytes(PNG)
    entries = list(scan([os.fsencode(tmp_path)]))
    assert sorted(entry.path.split(b"/")[-1] for entry in entries) == sorted(ODD_NAMES)
    shown = [display_path(entry.path) for entry in entries]
    assert len(set(shown)) == len(ODD_NAMES)
    assert all(text.isprintable() for text in shown)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"/a/b.jpg", "/a/b.jpg"),
        ("/Größe/写真.jpg".encode(), "/Größe/写真.jpg"),
        (b"a\nb\r\t\x1b\x7f", r"a\nb\r\t\x1b\x7f"),
        (b"\xff\xc3", r"\xff\xc3"),
        ("\u202e\u200b\u00a0\u0085".encode(), r"\u202e\u200b\u00a0\u0085"),
        (rb"a\nb", r"a\\nb"),
        ("\U000e0001".encode(), r"\U000e0001"),
    ],
)
def test_display_shows_what_would_not_be_seen(path, shown):
    assert display_path(path) == shown


def undisplayed(text: str) -> bytes:
    """Slow inverse of `display_path`: what it lost could not be found again."""
    named = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}
    parts = re.findall(r"\\x..|\\u....|\\U........|\\.|[^\\]", text)
    out = b""
    for part in parts:
        if part[:2] == r"\x":
            out += bytes([int(part[2:], 16)])
        elif part[:2] in (r"\u", r"\U"):
            out += chr(int(part[2:], 16)).encode()
        else:
            out += named[part[1]] if part[0] == "\\" else part.encode()
    return out


@settings(deadline=None)  # other processes may be busy
@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode(errors="ignore")))
def test_display_is_printable_and_loses_nothing(path):
    shown = display_path(path)
    assert shown.isprintable()
    assert undisplayed(shown) == path


def test_content_hash_is_that_of_the_bytes():
    assert content_hash(b"") == bytes.fromhex("3345524abf6bbe1809449224b5972c41790b6cf2")
    assert len(content_hash(PNG)) == 20
