"""Names of collections in addresses and of files."""

from django.utils.text import slugify

from lookalike.web.models import HostedCollection


def stem_of(title: str) -> str:
    """Return a title as addresses and files can have it: small letters, digits and `-`."""
    return slugify(title)[:50] or "collection"


def unused_slug(title: str) -> str:
    """Return a name for addresses that no collection has yet."""
    stem = stem_of(title)
    taken = set(HostedCollection.objects.values_list("slug", flat=True))
    numbered = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken) + 2))
    return next(slug for slug in numbered if slug not in taken)
