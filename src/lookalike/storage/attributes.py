"""What the values of attributes mean: numbers, and dates as numbers."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from lookalike.errors import UsageError
from lookalike.storage.records import Known

TAKEN: Final = "taken"
"""Key of the date on which a picture was taken."""

LONGEST_VALUE: Final = 2_000
LONGEST_KEY: Final = 40

_KEY: Final = re.compile(r"[a-z][a-z0-9_-]*")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_DATE: Final = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?Z?)?)?)?"
)


def date_range(text: str) -> tuple[float, float] | None:
    """Return the first and last moment that a date stands for, in seconds since 1970.

    A date is a year, a month, a day, a minute or a second, written as in ISO 8601. Cameras know no
    time zones, so all dates are taken for what the clock showed. `None` if it is no date.

    Example:
        >>> date_range("1970"), date_range("1970-01-02T00:00:01"), date_range("1970-13")
        ((0.0, 31535999.0), (86401.0, 86401.0), None)
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    parts = [int(part) for part in found.groups() if part is not None]
    try:
        year, month, day, *time = [*parts, 1, 1][: max(3, len(parts))]
        hour, minute, second = [*time, 0, 0, 0][:3]
        start = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        end = _end(start, len(parts))
    except (ValueError, OverflowError):
        return None
    return start.timestamp(), end.timestamp()


def date_text(seconds: float) -> str:
    """Return the date of a moment, in seconds since 1970, as it is stored and shown.

    Example:
        >>> date_text(86401.0)
        '1970-01-02T00:00:01'
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def number_of(attribute: Known) -> float | None:
    """Return the number by which a value is compared and sorted; `None` if it is plain text."""
    if attribute.key == TAKEN:
        moments = date_range(attribute.value)
        return None if moments is None else moments[0]
    if _NUMBER.fullmatch(attribute.value):
        number = float(attribute.value)
        return number if math.isfinite(number) else None
    return None


def check_attribute(key: str, value: str) -> None:
    """Check an attribute that a person or a data set gives.

    Raises:
        UsageError: If the key is no plain word, the value is empty or too long, or the date of
            `taken` is none.
    """
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise UsageError(
            f"the attribute {key!r} cannot be stored: its name is not a word of small letters, "
            "digits, - and _; choose one such as photographer"
        )
    if not value.strip() or len(value) > LONGEST_VALUE:
        raise UsageError(
            f"the attribute {key!r} has {len(value)} characters; give 1 to {LONGEST_VALUE}"
        )
    if key == TAKEN and date_range(value) is None:
        raise UsageError(f"taken={value!r} is no date; write 2024, 2024-05-31 or 2024-05-31T14:30")


def _end(start: datetime, n_parts: int) -> datetime:
    if n_parts == 1:
        after = start.replace(year=start.year + 1) if start.year < 9999 else datetime.max
    elif n_parts == 2:
        after = (start + timedelta(days=31)).replace(day=1)
    else:
        after = start + {3: timedelta(days=1), 5: timedelta(minutes=1)}.get(
            n_parts, timedelta(seconds=1)
        )
    return after.replace(tzinfo=UTC) - timedelta(seconds=1)
