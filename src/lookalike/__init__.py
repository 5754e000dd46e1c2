"""Lookalike finds pictures by what is in them and where it is."""

__version__ = "0.1.0"
