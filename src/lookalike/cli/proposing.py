"""The command that proposes images for a label."""

from typing import Annotated

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, CollectionPath, Json, examples, option
from lookalike.showing import show_proposals


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike propose photos.lookalike --like 17 --like 42 --dislike 5",
        "lookalike propose photos.lookalike --like 17 --like 42 --right 60 --wrong 61",
    ),
)
def propose(
    collection: CollectionPath,
    liked: Annotated[list[int], option("--like", help="This image has the label; repeatable.")],
    disliked: Annotated[list[int], option("--dislike", help="This one has not.")] = [],  # noqa: B006
    right: Annotated[list[int], option("--right", help="This proposed image has it too.")] = [],  # noqa: B006
    wrong: Annotated[list[int], option("--wrong", help="This proposed image has not.")] = [],  # noqa: B006
    k: Annotated[int, option("-k", help="Number of proposals.")] = 20,
    as_json: Json = False,
) -> int:
    """Propose images for a label, from images that have it and images that have not.

    Groups from a pool of clusterings are chosen that hold the former and not the latter. What is
    said of proposals is remembered, for all labels to come.
    """
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.knowing.proposing import propose_round  # noqa: PLC0415

    with Collection.open(collection) as opened:
        found = propose_round(opened, liked, disliked, right, wrong, k)
    show_result(as_json, found, lambda: show_proposals(found))
    return 0
