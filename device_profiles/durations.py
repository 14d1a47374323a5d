"""Durations in profiles: ``500ms``, ``30s``, ``5m``, ``2h``, ``7d``."""

from __future__ import annotations

import re

_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
LONGEST = 2**61
"""Nanoseconds of the longest duration: 73 years; longer ones are cut to it."""

_FORM = re.compile(r"(\d{1,9})(ms|s|m|h|d)")


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration that the schema let through."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a duration such as 30s or 5m, found {text!r}")
    return min(int(found[1]) * _NS[found[2]], LONGEST)
