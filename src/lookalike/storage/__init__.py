"""The truth of a collection: one SQLite file that survives anything."""
