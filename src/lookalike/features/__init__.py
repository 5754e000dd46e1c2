"""Pixels to embeddings, without PyTorch."""
