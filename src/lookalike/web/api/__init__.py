"""REST: everything the pages do, for programs."""

from lookalike.web.api import evaluations, learning
from lookalike.web.api.root import api

api.add_router("", learning.router)
api.add_router("", evaluations.router)

__all__ = ["api"]
