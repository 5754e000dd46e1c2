"""The commands that keep copies of collections."""

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, CollectionPath, Json, examples, option
from lookalike.terminal import Bars, say


@app.command(
    context_settings=SETTINGS,
    epilog=examples("lookalike backup photos.lookalike --out /media/disk/photos-november"),
)
def backup(
    collection: CollectionPath,
    out: Annotated[Path, option("--out", help="Folder to make; it can be opened as it is.")],
    as_json: Json = False,
) -> int:
    """Copy a collection, which may be in use, and read the copy again.

    Pictures are not copied: a collection never changes them.
    """
    from lookalike.storage.backups import back_up  # noqa: PLC0415 - keeps --help fast

    made = back_up(collection, out, progress=Bars())
    content = {"backup": str(out), **made.to_json()}
    show_result(as_json, content, lambda: say(f"{made.images} pictures, checked, in {out}"))
    return 0


@app.command(
    context_settings=SETTINGS,
    epilog=examples("lookalike restore /media/disk/photos-november photos.lookalike"),
)
def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="Folder of the backup.")],
    collection: CollectionPath,
    as_json: Json = False,
) -> int:
    """Make a collection of a backup, once all of it was found to be as it was written."""
    from lookalike.storage.backups import restore as make  # noqa: PLC0415 - keeps --help fast

    found = make(backup, collection, progress=Bars())
    content = {"restored": str(collection), **found.to_json()}
    words = f"{found.images} pictures of {found.made} in {collection}"
    show_result(as_json, content, lambda: say(words))
    return 0
