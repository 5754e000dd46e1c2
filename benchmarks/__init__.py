"""Measurements of speed and quality; each module says how it is run."""
