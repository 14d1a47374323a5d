"""Versions of profiles, as Semantic Versioning 2.0.0 orders them, and what a step claims."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from gateway_core.errors import PayloadError

Step = Literal["major", "minor", "patch"]

_FORM = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?")


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A version; compares as precedence does (section 11), a pre-release below its release.

    Attributes:
        major: First number.
        minor: Second number.
        patch: Third number.
        pre: Pre-release without its dash; empty for a release.
    """

    major: int
    minor: int
    patch: int
    pre: str = ""

    def __str__(self) -> str:
        """Return the version as it is written."""
        dash = f"-{self.pre}" if self.pre else ""
        return f"{self.major}.{self.minor}.{self.patch}{dash}"

    def __lt__(self, other: object) -> bool:
        """Return whether this version is older."""
        return _rank(self) < _rank(other) if isinstance(other, Version) else NotImplemented

    def step_from(self, older: Version) -> Step:
        """Return what the step from an older version claims.

        Before 1.0.0 nothing is promised to stay (section 4), so there a minor step is a major one.
        """
        if self.major != older.major:
            return "major"
        if self.minor != older.minor:
            return "minor" if self.major else "major"
        return "patch"


def read_version(text: str) -> Version:
    """Read a version.

    Raises:
        PayloadError: ``bad_version``.
    """
    found = _FORM.fullmatch(text)
    if found is None or len(text) > 64:
        raise PayloadError("bad_version", f"expected 1.2.3 or 1.2.3-beta.1, found {text[:64]!r}")
    return Version(int(found[1]), int(found[2]), int(found[3]), found[4] or "")


def _rank(version: Version) -> tuple[object, ...]:
    """Return what orders versions: numbers below words, fewer words below more."""
    parts = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in version.pre.split(".")
        if version.pre
    )
    return version.major, version.minor, version.patch, not version.pre, parts
