"""What the paper says, in words, and what is done here: the texts beside each table.

The paper's tables themselves were not to be had, only its running text; so no number of theirs is
ever shown, and nothing here pretends to be one.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Wording:
    """The text of one part of the report.

    Attributes:
        title: Its headline.
        paper: What the paper says.
        open_: What it leaves open or gets wrong.
        here: What is done here.
    """

    title: str
    paper: str
    open_: str
    here: str


INTRODUCTION: Final = (
    "The experiments of L. Duan, Q. En and others, International Journal of Advanced Robotic "
    "Systems, 2020 (doi:10.1177/1729881420921653), repeated with this project's own models. Beside "
    "each part stands what the paper says about it in words. Its tables of numbers were not at "
    "hand; none are quoted, and none are invented."
)

WORDINGS: Final[dict[str, Wording]] = {
    "figure3": Wording(
        "Figure 3: pixels in order against pixels at random",
        "With pixels taken in order accuracy is flat below 100 dimensions, rises steeply from 100 "
        "to 250, slowly from 260 to 400, and is flat near 1 above; with pixels drawn at random, "
        "200 times for each number, it rises slowly to about 0.75.",
        "The pictures are not named. The two curves cannot end apart: with all pixels both subsets "
        "are the same set.",
        "Softmax regression on the handwritten digits that come with scikit-learn, enlarged to "
        "20 × 20 pixels within 28 × 28, whose blank margin gives the flat beginning. The wide line "
        "of the random subsets is one standard deviation.",
    ),
    "table1": Wording(
        "Table 1: pairwise F of k-means clusters",
        "F of the proposed features and of five named networks on COCO. The text implies, without "
        "saying so, that the proposed features are best.",
        "k is not given, though F is driven mostly by k, and “everything in one cluster” already "
        "scores well where one class is in many pictures. “MIN” stands for Network in Network.",
        "All numbers of clusters, and both degenerate clusterings beside them. A pair of pictures "
        "belongs together if it shares a class. Stricter readings: without the most frequent "
        "class; pairs related only from a Jaccard index of 0.5 of their label sets up; extended "
        "BCubed, which gives each picture the same weight. The five networks learn from labels "
        "alone, in their small form for small pictures, from the same pictures and for the same "
        "number of steps. The fair control of self-encoding is “no self-encoding”: the same "
        "network without it.",
    ),
    "figure4": Wording(
        "Figure 4: clusters seen",
        "Pictures of some clusters are shown, to let the reader see that they belong together.",
        "Which clusters were chosen, and how, is not said.",
        "All clusters of one k-means, largest first, with the pictures nearest to each center; "
        "none is picked. Beside them the classes that the cluster has oftener than the gallery.",
    ),
    "table2": Wording(
        "Table 2: precision and recall of the first N",
        "Precision (the text also calls it accuracy) and recall for N = 2, 5, 8, 10, over 30 "
        "runs: as N grows, precision falls and recall rises.",
        "What changes between runs is not said, nor k, nor the order inside a cluster, nor the "
        "size of the gallery, on which recall depends.",
        "Runs differ in the queries drawn and in where k-means starts. A picture is relevant if it "
        "shares a class with the query. Three readings: lists as they are stored, lists ranked by "
        "similarity, and every picture compared. ± is the standard deviation over runs, mAP and "
        "R-precision are those of the whole ranking.",
    ),
    "table3": Wording(
        "Table 3: means against the number of queries",
        "As more query pictures are used, mean precision and mean recall fall slightly, which the "
        "paper puts down to categories of different size.",
        "Queries drawn at random give a mean with the same expectation however many they are; only "
        "its spread falls. A steady fall means that the queries were not drawn at random.",
        "Means over random samples of queries, drawn 30 times for each size (fewer in the quick "
        "version), retrieved through ranked lists.",
    ),
    "ablations": Wording(
        "Does the code do it? Ablations",
        "The claim behind the method: a network that also regresses the code of a self-encoder has "
        "features that know where things are. No ablation is reported.",
        "Without these the claim is not proved: (a) no code, (b) codes dealt out at random among "
        "the pictures, (c) noise for codes, (d) label maps averaged over 8 × 8 cells and reduced "
        "by PCA in place of a learned code, (e) a segmentation head in place of the code, (f) a "
        "trunk that learned from labels alone and is frozen.",
        "The same trunk, pictures and steps for each (f: its heads learn for as long again). "
        "Queries are the same for all. The probability map of (e), averaged over 8 × 8 cells and "
        "ranked by Euclidean distance, is the direct competitor of a layout code (Furuta and "
        "others, 2018).",
    ),
}
