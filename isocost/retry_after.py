"""``Retry-After``: how long a server asks its clients to wait.

Lives here: reading the header. Not here: when a request is sent again (``isocost.engines``,
``isocost.judges``).
"""

from __future__ import annotations

import datetime
import email.utils
import re
import time

LONGEST_RETRY_AFTER_S = 300.0
"""Even if a server requests a longer pause, it is probed once in this time."""


def retry_after(header: str | None, *, now_unix_s: float | None = None) -> float | None:
    """Seconds that ``Retry-After`` requests (RFC 9110, 10.2.3), or None.

    The header is a number of seconds or a date; None if it is neither.

    Args:
        header: the header's value.
        now_unix_s: wall clock; the time of the call if None.

    Returns:
        From 0 to ``LONGEST_RETRY_AFTER_S``.
    """
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,300}(?:\.[0-9]{1,9})?", text):
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return None
    return min(
        max(at - (time.time() if now_unix_s is None else now_unix_s), 0.0), LONGEST_RETRY_AFTER_S
    )
