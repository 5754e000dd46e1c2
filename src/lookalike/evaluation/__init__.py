"""How good the answers are, measured honestly."""

from lookalike.evaluation.clustering import ClusteringScores, pairwise_clustering
from lookalike.evaluation.measurements import Comparison, Evaluation, compare
from lookalike.evaluation.protocol import RandomOrder, System, evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.report import write_comparison, write_report
from lookalike.evaluation.truth import GroundTruth, ground_truth

__all__ = [
    "ClusteringScores",
    "Comparison",
    "Evaluation",
    "GroundTruth",
    "Measure",
    "RandomOrder",
    "System",
    "compare",
    "evaluate",
    "ground_truth",
    "pairwise_clustering",
    "write_comparison",
    "write_report",
]
