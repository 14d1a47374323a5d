"""How long a server asks to be left alone: the header Retry-After (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import email.utils

LONGEST_S = 300.0
"""Whatever is asked for beyond this is not believed."""


def seconds_of(header: str, now_s: float) -> float:
    """Return seconds from now, never more than `LONGEST_S`; 0 for what cannot be read.

    Args:
        header: Seconds or an HTTP date; may be empty.
        now_s: Seconds since 1970.
    """
    if header.isdigit():
        return min(float(header), LONGEST_S)
    try:
        until = email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, until - now_s), LONGEST_S)
