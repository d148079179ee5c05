"""Times as other tools write them, as Unix time.

Lives here: ISO 8601 texts and the like. Not here: durations (``units``) and what a clock means
(each format).
"""

from __future__ import annotations

import datetime as dt
import re

from isocost.errors import IsocostError

NO_ZONE = "time_without_zone_read_as_utc"
"""Reason for times without a time zone: their differences are valid, the hour is not."""
_SLASHES = re.compile(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})")
_US = re.compile(r"^(\d{2})-(\d{2})-(\d{4})(?=[ T])")


def unix_seconds(text: str, where: str) -> tuple[float, bool]:
    """Unix time of a written time, and whether it stated its time zone.

    Args:
        text: ``2024-05-30T11:03:37.123+02:00``, ``2024/05/30 11:03:37.123``, ``05-30-2024
            11:03:37.123`` and similar.
        where: position named in the error.

    Returns:
        Seconds since 1970 in UTC; a time without a zone is read as UTC and the second value is
        False.

    Raises:
        IsocostError: the text is not such a time.
    """
    plain = _US.sub(
        r"\3-\1-\2",
        _SLASHES.sub(
            lambda found: f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}", text.strip()
        ),
    )
    try:
        moment = dt.datetime.fromisoformat(plain)
    except ValueError:
        raise IsocostError(
            f"{text[:60]!r} is not a readable time",
            where=where,
            remedy="Write it like 2024-05-30T11:03:37.123Z",
        ) from None
    has_zone = moment.tzinfo is not None
    return (moment if has_zone else moment.replace(tzinfo=dt.UTC)).timestamp(), has_zone
