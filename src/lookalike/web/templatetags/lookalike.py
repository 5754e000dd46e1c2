"""What templates compute: links that change one thing of a search, and numbers in words."""

from datetime import timedelta

from django import template

from lookalike.web.asking import Asked
from lookalike.web.completing import quoted

register = template.Library()


@register.filter
def liking(asked: Asked, example: object) -> str:
    """Return the address of the same search with one more liked example."""
    return asked.liking(str(example)).to_address()


@register.filter
def disliking(asked: Asked, example: object) -> str:
    """Return the address of the same search with one more disliked example."""
    return asked.disliking(str(example)).to_address()


@register.filter
def dropping(asked: Asked, example: object) -> str:
    """Return the address of the same search without an example."""
    return asked.without(str(example)).to_address()


@register.filter
def percent(share: float | None) -> str:
    """Return a share as whole percents; nothing while it is unknown."""
    return "" if share is None else f"{100 * share:.0f}"


@register.filter
def in_words(duration: timedelta | None) -> str:
    """Return how long something took, as people say it.

    Example:
        >>> in_words(timedelta(seconds=3)), in_words(timedelta(minutes=95))
        ('3 s', '1 h 35 min')
    """
    if duration is None:
        return ""
    seconds = round(duration.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@register.filter
def bytes_in_words(n: int) -> str:
    """Return a length in the unit that people would choose.

    Example:
        >>> bytes_in_words(999), bytes_in_words(1_500_000)
        ('999 B', '1.5 MB')
    """
    value = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


@register.filter
def spaced(name: str) -> str:
    """Return a name of a program as people write it.

    Example:
        >>> spaced("index_files")
        'index files'
    """
    return name.replace("_", " ")


@register.filter
def as_filter(label: str) -> str:
    """Return the filter that finds the pictures of a label.

    Example:
        >>> as_filter("dog"), as_filter("polar bear")
        ('label:dog', 'label:"polar bear"')
    """
    return f"label:{quoted(label)}"
