"""The command that asks a collection."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from lookalike.cli.root import app, show_result
from lookalike.options import (
    SETTINGS,
    CollectionPath,
    Json,
    Weights,
    examples,
    option,
    read_example_weights,
    read_weights,
)
from lookalike.search.names import Expansion, Method, Reranking
from lookalike.showing import show_hits

if TYPE_CHECKING:  # --help must not load it
    from lookalike.search.queries import Query


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike search photos.lookalike --image holiday.jpg",
        "lookalike search photos.lookalike --id 17 --id 42 --not-id 5 -k 20",
        "lookalike search photos.lookalike --image plan.png --weight layout=3",
        "lookalike search photos.lookalike --id 17 --sheet hits.png",
        "lookalike search photos.lookalike --text 'a dog on grass'",
        "lookalike search photos.lookalike --id 17 --box 40,20,100,80",
        "lookalike search photos.lookalike --clause label=dog,position=left",
        "lookalike search photos.lookalike --layout 'dog@0.5,0.6,0.9,1'",
        "lookalike search photos.lookalike --words 'dog grass' --filter 'taken:2024'",
        "lookalike search photos.lookalike --id 17 --filter 'width:>1000 color:blue'",
        "lookalike search photos.lookalike --words beach --sort date",
        "lookalike search photos.lookalike --layout map.png --cut auto --save plan.json",
        "lookalike search photos.lookalike --query plan.json --sort date",
        "lookalike search photos.lookalike --colors 'blue:40,#d02010:10'",
        "lookalike search photos.lookalike --sketch boat.png --id 17",
        "lookalike search photos.lookalike --id 17 --like 42 --dislike 5",
        "lookalike search photos.lookalike --id 17 --session dogs.json   (and then)",
        "lookalike search photos.lookalike --session dogs.json --like 42 --dislike 5",
    ),
)
def search(
    collection: CollectionPath,
    images: Annotated[
        list[Path], option("--image", help="Find pictures like this file; repeatable.")
    ] = [],  # noqa: B006 - read only, and Typer wants a list
    urls: Annotated[
        list[str], option("--url", help="… like the picture at this address; see --allow-url.")
    ] = [],  # noqa: B006
    ids: Annotated[
        list[int], option("--id", help="Find pictures like this one of the collection.")
    ] = [],  # noqa: B006
    texts: Annotated[
        list[str],
        option("--text", help="Find pictures of this: seen by the model, or said of them."),
    ] = [],  # noqa: B006
    not_images: Annotated[list[Path], option("--not-image", help="… and unlike this file.")] = [],  # noqa: B006
    not_urls: Annotated[list[str], option("--not-url", help="… and unlike this address.")] = [],  # noqa: B006
    not_ids: Annotated[
        list[int], option("--not-id", help="… and unlike this one of the collection.")
    ] = [],  # noqa: B006
    boxes: Annotated[
        list[str],
        option("--box", metavar="X,Y,W,H", help="Only this part of the picture, in its pixels."),
    ] = [],  # noqa: B006
    clauses: Annotated[
        list[str],
        option("--clause", metavar="NAME=VALUE,…", help="What one region should be like."),
    ] = [],  # noqa: B006
    not_texts: Annotated[list[str], option("--not-text", help="… and not of this.")] = [],  # noqa: B006
    layout: Annotated[
        str,
        option("--layout", metavar="FILE|BOXES", help="What is to be where: PNG, JSON or boxes."),
    ] = "",
    words: Annotated[
        str | None, option("--words", help="Words in captions, labels, file names, attributes.")
    ] = None,
    synonyms: Annotated[
        Path | None,
        option(
            "--synonyms",
            show_default="synonyms.txt in COLLECTION",
            help="Words that mean the same: dog, hound, puppy per line.",
        ),
    ] = None,
    filter_: Annotated[
        str | None,
        option("--filter", help="What pictures must have; see lookalike help filters."),
    ] = None,
    colors: Annotated[
        str | None,
        option("--colors", help="Colors with percentages; the rest may be anything: blue:40."),
    ] = None,
    painted_colors: Annotated[
        Path | None,
        option("--painted-colors", help="Picture of colors in place; transparent may be anything."),
    ] = None,
    sketch: Annotated[
        Path | None, option("--sketch", help="Picture of a line drawing, compared with edges.")
    ] = None,
    texture: Annotated[
        Path | None, option("--texture", help="Picture of a swatch, compared in texture alone.")
    ] = None,
    shape: Annotated[
        Path | None, option("--shape", help="Picture of a filled shape, compared with outlines.")
    ] = None,
    weights: Weights = [],  # noqa: B006
    example_weights: Annotated[
        str, option("--example-weights", help="Of each example, in the order above: 2,1,0.5.")
    ] = "",
    multipoint: Annotated[
        Literal["no", "yes", "auto"],
        option("--multipoint", help="Keep examples apart; auto: those unlike each other."),
    ] = "no",
    exclude_ids: Annotated[
        list[int], option("--exclude-id", help="Do not find this one; repeatable.")
    ] = [],  # noqa: B006
    k: Annotated[int, option("-k", help="Number of hits.")] = 10,
    min_score: Annotated[
        float | None, option("--min-score", help="Leave out hits that score lower.")
    ] = None,
    cut: Annotated[
        Literal["none", "auto"], option("--cut", help="auto: show only hits that stand out.")
    ] = "none",
    sort: Annotated[
        Literal["score", "date", "name"], option("--sort", help="Order of the hits found.")
    ] = "score",
    hide_duplicates: Annotated[
        bool, option("--hide-duplicates", help="Of nearly equal pictures show the best alone.")
    ] = False,
    order: Annotated[
        Literal["ranked", "list"],
        option("--order", help="list: cluster by cluster, as published."),
    ] = "ranked",
    liked: Annotated[list[int], option("--like", help="Mark this image as relevant.")] = [],  # noqa: B006
    disliked: Annotated[list[int], option("--dislike", help="… as not relevant.")] = [],  # noqa: B006
    loved: Annotated[list[int], option("--love", help="… as highly relevant.")] = [],  # noqa: B006
    hated: Annotated[list[int], option("--hate", help="… as highly non-relevant.")] = [],  # noqa: B006
    session: Annotated[
        Path | None, option("--session", help="File that keeps query and marks, round by round.")
    ] = None,
    undo: Annotated[bool, option("--undo", help="Take the session's last round back.")] = False,
    keep_seen: Annotated[
        bool | None, option("--keep-seen/--hide-seen", help="Whether marked images stay hits.")
    ] = None,
    method: Annotated[
        Method | None, option("--feedback", show_default="auto", help="What is made of marks.")
    ] = None,
    expand: Annotated[
        Expansion | None, option("--expand", help="Search again from the first hits.")
    ] = None,
    rerank: Annotated[
        Reranking | None, option("--rerank", help="Compare the first hits with each other.")
    ] = None,
    allow_url: Annotated[
        bool, option("--allow-url", help="Allow pictures to be fetched from the web.")
    ] = False,
    saved: Annotated[
        Path | None, option("--query", help="Ask what --save stored; options here add to it.")
    ] = None,
    save: Annotated[
        Path | None, option("--save", help="Also store the query in this JSON file.")
    ] = None,
    sheet: Annotated[
        Path | None, option("--sheet", help="Also draw the hits into this PNG file.")
    ] = None,
    save_as: Annotated[
        str | None, option("--save-as", metavar="NAME", help="Keep the search; see `saved`.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find the pictures of a collection that are most like the given ones, or fit what is asked.

    A score says how rare such a similarity is: 3 stands for one random pair in a thousand.
    """
    from lookalike.asking.answers import answer, draw_answer, make_examples  # noqa: PLC0415
    from lookalike.asking.drawings import DrawnParts  # noqa: PLC0415
    from lookalike.asking.regions import read_composition, with_boxes  # noqa: PLC0415
    from lookalike.asking.saved import save_search  # noqa: PLC0415
    from lookalike.asking.sessions import Said, make_marks, open_session  # noqa: PLC0415
    from lookalike.asking.words import in_words  # noqa: PLC0415
    from lookalike.collection import Collection  # noqa: PLC0415 - keeps --help fast
    from lookalike.search.layout_files import read_layout  # noqa: PLC0415
    from lookalike.search.query_files import read_query, save_query  # noqa: PLC0415

    drawn = DrawnParts(colors, painted_colors, sketch, texture, shape)
    seen = None if keep_seen is None else not keep_seen
    marked = Said(make_marks(liked, disliked, loved, hated), undo, method, seen)
    with Collection.open(collection, writable=save_as is not None) as opened:
        said = in_words(opened, texts, words, filter_, synonyms, not_texts)
        positives = with_boxes(make_examples(images, urls, ids, said.texts), boxes)
        negatives = make_examples(not_images, not_urls, not_ids, said.not_texts)
        of_each = read_example_weights(example_weights, len(positives), len(negatives))
        given = {
            "positives": positives,
            "negatives": negatives,
            "positive_weights": of_each[0],
            "negative_weights": of_each[1],
            "composition": read_composition(clauses),
            "layout": read_layout(layout, opened.card) if layout else None,
            **drawn.read(),
            "words": said.words,
            "filter": said.condition,
            "weights": read_weights(weights),
            "multipoint": multipoint,
            "exclude_ids": tuple(exclude_ids),
            "min_score": min_score,
            "cut": cut,
            "sort": sort,
            "hide_duplicates": hide_duplicates,
            "order": order,
            "expand": expand,
            "rerank": rerank,
        }
        before = None if saved is None else read_query(saved)
        going = open_session(opened, given, marked, session, saved=before)
        query = going.query
        asked = _fetched(query) if allow_url else query
        found = answer(opened, asked, k)
        if save is not None:
            save_query(query, save)
        if save_as is not None:
            save_search(opened, save_as, query, k)
        if sheet is not None:
            draw_answer(opened, asked, found, sheet)
        if session is not None:
            going.show(hit["id"] for hit in found["hits"])
            going.save(session)
            found |= {"rounds": going.n_rounds}
    content = {**found, "query": query.to_json()}
    show_result(as_json, content, lambda: show_hits(found))
    return 0


def _fetched(query: "Query") -> "Query":
    from lookalike.search.urls import fetched  # noqa: PLC0415 - loads what speaks to the web

    return fetched(query)
