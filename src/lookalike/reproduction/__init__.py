"""The published experiments, repeated: one command, one report."""

from lookalike.reproduction.plan import SECTIONS, Plan, full_plan, quick_plan
from lookalike.reproduction.running import Reproduction, reproduce

__all__ = ["SECTIONS", "Plan", "Reproduction", "full_plan", "quick_plan", "reproduce"]
