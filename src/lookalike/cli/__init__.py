"""The command line: one short function per command. Each parses, calls the library and shows."""

from lookalike.cli import (
    annotating,
    asking,
    backups,
    browsing,
    colors,
    duplicates,
    indexes,
    keeping,
    labeling,
    learning,
    measuring,
    models,
    proposing,
    searching,
    selecting,
    serving,
)
from lookalike.cli.root import app

__all__ = [
    "annotating",
    "app",
    "asking",
    "backups",
    "browsing",
    "colors",
    "duplicates",
    "indexes",
    "keeping",
    "labeling",
    "learning",
    "measuring",
    "models",
    "proposing",
    "searching",
    "selecting",
    "serving",
]
