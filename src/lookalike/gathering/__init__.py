"""How pictures and what is said of them come into a collection."""
