"""What each command shows to a person when it is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lookalike.terminal import say, show_table

if TYPE_CHECKING:  # for their types alone: --help must not load them
    from lookalike.demo import DemoResult
    from lookalike.evaluation.measurements import Evaluation
    from lookalike.gathering.annotating import AnnotateReport
    from lookalike.gathering.ingest import IngestReport
    from lookalike.index.points import IndexComparison
    from lookalike.model_folder import ModelCard
    from lookalike.reproduction import Reproduction
    from lookalike.search.filter_keys import FilterKey
    from lookalike.selecting import SelectReport
    from lookalike.storage.integrity import VerifyReport

MOST_SHOWN: Final = 20
"""Troubles that are listed one by one."""


def show_ingest(report: "IngestReport") -> None:
    """Show what became of the files."""
    troubles = [("failed", trouble) for trouble in report.failed]
    troubles += [("skipped", trouble) for trouble in report.skipped]
    troubles += [("lacking", trouble) for trouble in report.lacking]
    for kind, trouble in troubles[:MOST_SHOWN]:
        say(f"{kind}: {trouble.path}: {trouble.reason}")
    if len(troubles) > MOST_SHOWN:
        say(f"… and {len(troubles) - MOST_SHOWN} more; --json lists all")
    say(
        f"{report.indexed} indexed, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed, {len(report.skipped)} skipped in {report.seconds:.1f} s"
    )
    if report.regions is not None:
        for trouble in report.regions.failed[:MOST_SHOWN]:
            say(f"without regions: {trouble.path}: {trouble.reason}")
        say(
            f"{report.regions.regions} regions of {report.regions.images} images, "
            f"{len(report.regions.failed)} failed, in {report.regions.seconds:.1f} s"
        )


def show_hits(found: Mapping[str, Any]) -> None:
    """Show hits, best first, with the score of each descriptor."""
    for word, taken in found.get("corrections", {}).items():
        say(f"no picture has {word!r}; looked for {' or '.join(taken)}")
    names = list(found["hits"][0]["scores"]) if found["hits"] else []
    rows = [
        (hit["rank"], hit["id"], hit["score"], *(hit["scores"][n] for n in names), hit["path"])
        for hit in found["hits"]
    ]
    show_table(("rank", "id", "score", *names, "path"), rows)
    for hit in found["hits"]:
        places = [",".join(map(str, box)) for box in hit.get("matched", ()) if box]
        if places:
            say(f"{hit['rank']}: matched at {' and '.join(places)}")
    if found["beyond"]:
        say(
            f"{len(rows)} stand out; {found['beyond']} more follow: leave out --cut and "
            "--min-score to see them"
        )


def show_palette(found: Mapping[str, Any]) -> None:
    """Show the colors of a picture, and what asks for them."""
    rows = [(f"{each['share']:.0%}", each["color"], each["name"]) for each in found["colors"]]
    show_table(("share", "color", "name"), rows)
    say(f"--colors {found['query']}")


def show_annotated(report: "AnnotateReport") -> None:
    """Show what became of what was said of pictures."""
    troubles = [*report.unknown, *report.ambiguous]
    for trouble in troubles[:MOST_SHOWN]:
        say(f"passed over: {trouble.path}: {trouble.reason}")
    if len(troubles) > MOST_SHOWN:
        say(f"… and {len(troubles) - MOST_SHOWN} more; --json lists all")
    say(
        f"{report.described} pictures described, {report.changed} statements changed, "
        f"{len(report.unknown)} unknown, {len(report.ambiguous)} ambiguous"
    )


def show_described(found: Sequence[Mapping[str, Any]]) -> None:
    """Show all that is known of pictures, and who says so."""
    for image in found:
        rows: list[tuple[str, object]] = [
            ("id", image["id"]),
            *(("path", path) for path in image["paths"]),
            ("size", f"{image['width']} × {image['height']}, {image['bytes']} bytes"),
            ("format", image["format"]),
            *((f"caption ({each['by']})", each["text"]) for each in image["captions"]),
            *((f"label ({each['by']})", _labeled(each)) for each in image["labels"]),
            *(
                (f"{each['key']} ({each['provenance']})", each["value"])
                for each in image["attributes"]
            ),
            ("colors", ", ".join(f"{name} {share:.0%}" for name, share in image["colors"].items())),
        ]
        show_table(("", ""), rows)


def _labeled(label: Mapping[str, Any]) -> str:
    if label["probability"] == 1:
        return str(label["name"])
    return f"{label['name']}  {label['probability']:.2f}"


def show_filter_keys(keys: "Sequence[FilterKey]") -> None:
    """Show the language of filters."""
    rows = [(key.name, key.meaning, key.example) for key in keys]
    show_table(("key", "what passes", "example"), rows)
    say("Conditions beside each other must all hold. Texts with spaces stand in quotation marks.")


def show_proposals(found: Mapping[str, Any]) -> None:
    """Show images proposed for a label, most confident first."""
    rows = [(p["id"], p["confidence"], p["grouping"], p["path"]) for p in found["proposals"]]
    show_table(("id", "confidence", "grouping", "path"), rows)
    if found["uncovered"]:
        ids = ", ".join(map(str, found["uncovered"]))
        say(f"no group holds these without an image that has not the label: {ids}")


def show_duplicates(found: Mapping[str, Any]) -> None:
    """Show groups of near-duplicates, each with what to keep first."""
    rows = [
        (
            number,
            "keep" if member["id"] == group["keep"] else group["kind"],
            member["id"],
            member["bits"],
            "" if member["score"] is None else f"{member['score']:.1f}",
            f"{member['width']}×{member['height']} {member['format']}",
            member["paths"][0],
            group["reason"] if member["id"] == group["keep"] else "",
        )
        for number, group in enumerate(found["groups"], start=1)
        for member in group["members"]
    ]
    show_table(("group", "", "id", "bits", "score", "picture", "path", "kept for"), rows)
    say(
        f"{len(found['groups'])} groups among {found['n_images']} images; "
        f"{found['n_removable_files']} files ({found['removable_bytes'] / 2**20:.1f} MiB) "
        "could go; nothing was deleted"
    )
    if lacking := found["n_without_fingerprint"]:
        say(f"{lacking} images were left out: they were indexed by an earlier version; index again")


def show_indexes(compared: "IndexComparison", report: Path) -> None:
    """Show what each kind of index finds, how fast, and in how much memory."""
    rows = [
        (
            "◯" if point.is_best else "",
            point.kind,
            point.effort,
            point.recall,
            point.median_ms,
            point.p99_ms,
            point.build_seconds,
            point.n_bytes / 2**20,
        )
        for point in compared.points
    ]
    headings = ("", "kind", "effort", "recall@10", "median ms", "99 % ms", "build s", "MiB")
    title = f"{compared.n} embeddings of {compared.dim} dimensions, {compared.n_queries} queries"
    show_table(headings, rows, title=f"{title}, one thread")
    say(f"◯: nothing finds as much in less time; report: {report}")


def show_measures(evaluations: "Mapping[str, Evaluation]", folder: Path) -> None:
    """Show the headline measures of systems beside chance, each with its interval."""
    first = next(iter(evaluations.values()))
    rows = []
    for measure in first.headline:
        row: list[object] = [measure.label]
        for evaluation in evaluations.values():
            estimate = evaluation.estimates[measure]
            row.append(f"{estimate.mean:.3f}  [{estimate.low:.3f}, {estimate.high:.3f}]")
        rows.append([*row, f"{first.random[measure]:.3f}"])
    title = f"{len(first.query_ids)} queries among {first.n_gallery} pictures, 95 % intervals"
    show_table(("measure", *evaluations, "by chance"), rows, title=title)
    say(f"report: {folder / 'report.html'}")


def show_status(content: Mapping[str, Any]) -> None:
    """Show what a collection holds."""
    files = content["files"]
    rows: list[tuple[str, object]] = [
        ("collection", content["path"]),
        ("model", content["model"]),
        *_selection_rows(content["selection"]),
        ("images", content["images"]),
        ("files", ", ".join(f"{count} {state}" for state, count in files.items()) or "none"),
        ("folders", _some(content["folders"])),
        ("size on disk", f"{content['bytes'] / 2**20:.1f} MiB"),
        *_knowledge_rows(content["knowledge"]),
        *_region_rows(content["regions"]),
    ]
    rows += [
        (f"lacking {name}", f"{n} images: the next `index` extracts it from their files")
        for name, n in content.get("lacking", {}).items()
        if n
    ]
    rows += [
        (f"index of {index['descriptor']}", _index_line(index)) for index in content["indexes"]
    ]
    show_table(("", ""), rows)


def show_selection(report: "SelectReport") -> None:
    """Show what a selection cost and saved, and what to type next."""
    of_content = _selection_rows(report.facts)
    sizes = [
        (f"{name} of content", f"{before / 2**20:.2f} MiB → {after / 2**20:.2f} MiB")
        for name, (before, after) in report.n_bytes.items()
    ]
    show_table(("", ""), [*of_content, *sizes])
    say(f"shrunken collection: {report.path}")


def _selection_rows(facts: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    if not facts:
        return []
    dims = f"{facts['dims']} of {facts['of']} dimensions by {facts['method']}"
    by_labels = f", {facts['aggregate']} over labels" if facts["aggregate"] else ""
    source = f", from {facts['n_pictures']} pictures of {facts['dataset'] or 'the collection'}"
    rows: list[tuple[str, object]] = [("content", dims + by_labels + source)]
    if measured := facts["measured"]:
        mean = measured["mean_average_precision"]
        low, high = measured["difference_interval"]
        rows.append(
            (
                "mAP of content",
                f"{mean['before']:.3f} → {mean['after']:.3f}, difference "
                f"{measured['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p "
                f"{measured['p_value']:.4f}, on {measured['n_queries']} other pictures",
            )
        )
    if explained := facts["explained"]:
        rows.append(
            (
                "labels explained",
                f"{explained['nested']:.3f} on pictures that the search did not see "
                f"({explained['searched']:.3f} on those that it did)",
            )
        )
    return rows


def _knowledge_rows(counts: Mapping[str, int]) -> list[tuple[str, object]]:
    known = [f"{n} {what}" for what, n in counts.items() if n]
    return [("known", ", ".join(known))] if known else []


def _region_rows(regions: Mapping[str, int]) -> list[tuple[str, object]]:
    if not regions["images"]:
        return []
    lacking = f"; {regions['lacking']} images lack theirs" if regions["lacking"] else ""
    return [("regions", f"{regions['regions']} of {regions['images']} images{lacking}")]


def _some(lines: Sequence[str]) -> str:
    """A data set's pictures are listed file by file, of which the first will do."""
    shown = list(lines[:MOST_SHOWN])
    if len(lines) > MOST_SHOWN:
        shown.append(f"… and {len(lines) - MOST_SHOWN} more")
    return "\n".join(shown) or "none"


def _index_line(index: Mapping[str, Any]) -> str:
    if index["kind"] is None:
        return f"none yet: all {index['newer']} images are compared; the next `index` builds it"
    parts = [f"{index['kind']}, {index['n']} images"]
    if index["n_clusters"]:
        parts.append(
            f"{index['n_clusters']} clusters, visited until {index['members']} images are met"
        )
    if index["kind"] != "exact" and index["measured_recall"] is not None:
        parts.append(
            f"finds {index['measured_recall']:.1%} of the true neighbors "
            f"(target {index['recall_target']:.0%})"
        )
    if index["newer"] or index["deleted"]:
        parts.append(f"{index['newer']} newer compared beside it, {index['deleted']} gone masked")
    return "; ".join(parts)


def show_problems(report: "VerifyReport") -> None:
    """Show what is wrong with a collection."""
    for problem in report.problems:
        say(f"{'repaired' if problem.repaired else problem.kind}: {problem.detail}")
    counted = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in report.checked.items())
    say(f"checked {counted}")
    if report.is_clean:
        say("sound" if not report.problems else "sound again")
    else:
        say("not sound; `lookalike verify --repair` puts right what can be made again")


def show_card(card: "ModelCard", folder: Path) -> None:
    """Show what a model was measured to do."""
    rows = [(name.replace("_", " "), float(value)) for name, value in card.measured.items()]
    show_table(("measured on pictures it did not learn from", ""), rows)
    say(
        f"model {card.id} in {folder}; use it with: "
        f"lookalike index COLLECTION SOURCE --model {folder}"
    )


def show_imported(card: "ModelCard", folder: Path) -> None:
    """Show where an imported model comes from and what it can do."""
    origin = card.origin
    rows = [
        ("source", f"{origin['source']} {origin['revision']}".strip()),
        ("license", origin["license"] or "not named there: look before you use it"),
        ("class", origin["class"]),
        ("parameters", f"{origin['parameters']:,}"),
        ("pictures", f"{card.image_size} × {card.image_size} pixels"),
        ("content", f"{card.content_dim} numbers: {origin['content']}"),
        ("words", f"{card.text_length} tokens" if card.has_text else "none"),
        ("largest difference from the original", f"{card.measured['parity_max_difference']:.2g}"),
    ]
    show_table(("", ""), rows)
    say(
        f"model {card.id} in {folder}; use it with: "
        f"lookalike index COLLECTION SOURCE --model {folder}"
    )


def show_demo(result: "DemoResult") -> None:
    """Show the demo's comparison, and what to type next."""
    show_measures(result.evaluations, result.report.parent)
    rows = []
    for name, comparison in result.comparisons.items():
        for measure in next(iter(result.evaluations.values())).headline:
            paired = comparison.differences[measure]
            interval = f"[{paired.difference.low:+.3f}, {paired.difference.high:+.3f}]"
            difference = f"{paired.difference.mean:+.3f}  {interval}"
            rows.append((name, measure.label, difference, f"{paired.p_value:.4f}"))
    headings = ("against no self-encoding", "measure", "difference", "p (paired)")
    show_table(headings, rows)
    gallery = result.folder / "gallery-with.lookalike"
    say(
        f"contact sheet: {result.sheet}\n"
        f"that took {result.seconds:.0f} s; now try:\n"
        f"  ./run lookalike search {gallery} --id 1 --sheet hits.png\n"
        f"  ./run lookalike status {gallery}\n"
        f"  ./run lookalike index my.lookalike ~/Pictures --model {result.folder / 'model-with'}"
    )


def show_reproduction(result: "Reproduction") -> None:
    """Show the tables of the reproduction as they are in its CSV files."""
    from lookalike.reproduction.tables import plain_cells  # noqa: PLC0415 - --help is fast

    for table in result.findings.tables():
        heads, *rows = plain_cells(table)
        show_table(heads, rows, title=table.caption)
    for text in result.findings.left_out:
        say(f"left out: {text}")
    say(f"report: {result.report}; that took {result.seconds:.0f} s")
