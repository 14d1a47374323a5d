"""One thing that was checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Args:
        check: Stable name, for example ``fsync``.
        grade: ``ok``; ``warn``: works, but not as promised; ``fail``: will not work.
        found: The fact.
        cause: Why it matters; empty when all is well.
        advice: What to do next; empty when all is well.
    """

    check: str
    grade: Grade
    found: str
    cause: str = ""
    advice: str = ""
