"""Bytes to pixels: walking folders, decoding safely, surviving bad files."""
