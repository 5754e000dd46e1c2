"""The command line: one short function per command. Each parses, calls the library and shows."""

from lookalike.cli import (
    browsing,
    keeping,
    labeling,
    learning,
    measuring,
    models,
    searching,
    selecting,
)
from lookalike.cli.root import app

__all__ = [
    "app",
    "browsing",
    "keeping",
    "labeling",
    "learning",
    "measuring",
    "models",
    "searching",
    "selecting",
]
