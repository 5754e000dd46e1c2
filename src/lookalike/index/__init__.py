"""Nearest neighbors, exact and through k-means clusters."""
