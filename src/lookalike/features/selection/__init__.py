"""Choosing the dimensions of an embedding that tell most of what a picture shows."""
