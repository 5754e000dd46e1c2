"""What the system tells of processes that tests have started."""

from pathlib import Path


def children(parent: int | str = "self") -> list[int]:
    """Return the ids of a process's children; none of a process that is gone."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, _children_of_thread(thread))
    except FileNotFoundError:
        return []
    return found


def _children_of_thread(thread: Path) -> list[str]:
    # A thread may end between being listed and being read; its children go to another one.
    try:
        return (thread / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
