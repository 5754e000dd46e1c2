"""What methods there are; importing this loads none of them."""

from typing import Final, Literal, TypeAlias, get_args

FilterName: TypeAlias = Literal[
    "information-gain",
    "information-gain-mdl",
    "mutual-information-knn",
    "gain-ratio",
    "symmetrical-uncertainty",
    "chi-square",
    "chi2-counts",
    "correlation",
    "anova",
    "mrmr",
]
"""Scores of single dimensions, without any model."""

WrapperName: TypeAlias = Literal["forward", "backward", "genetic", "ant-colony"]
"""Searches for the set on which a model does best."""

EmbeddedName: TypeAlias = Literal["l1-logistic", "group-lasso", "stability"]
"""Models whose penalty makes them leave dimensions out."""

UnlabeledName: TypeAlias = Literal["pca", "itq", "random"]
"""What needs no labels."""

Method: TypeAlias = Literal[FilterName, WrapperName, EmbeddedName, UnlabeledName]
Aggregate: TypeAlias = Literal["mean", "max", "prevalence"]
"""How the scores that a dimension has for each label become one."""

METHODS: Final[tuple[str, ...]] = get_args(Method)
AGGREGATES: Final[tuple[str, ...]] = get_args(Aggregate)
UNLABELED: Final[tuple[str, ...]] = get_args(UnlabeledName)
WRAPPERS: Final[tuple[str, ...]] = get_args(WrapperName)
