"""The command line: one short function per command. Each parses, calls the library and shows."""

from lookalike.cli import duplicates, indexes, learning, measuring, models, searching, selecting
from lookalike.cli.root import app

__all__ = [
    "app",
    "duplicates",
    "indexes",
    "learning",
    "measuring",
    "models",
    "searching",
    "selecting",
]
