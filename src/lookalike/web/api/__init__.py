"""REST: everything the pages do, for programs."""

from lookalike.web.api.root import api

__all__ = ["api"]
