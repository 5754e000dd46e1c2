"""The command line: one short function per command. Each parses, calls the library and shows."""

from lookalike.cli import colors, learning, measuring, models, searching, selecting
from lookalike.cli.root import app

__all__ = ["app", "colors", "learning", "measuring", "models", "searching", "selecting"]
