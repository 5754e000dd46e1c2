"""The indexes of a collection: when they are built, and how they are read."""
