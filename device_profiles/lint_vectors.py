"""Lint of vectors: they must show what is refused, not only what is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import Profile


def lint_vectors(profile: Profile, _evidence: Evidence, findings: Findings) -> None:
    """Enter a profile whose vectors show nothing refused, and vectors that expect nothing."""
    parts = [
        (place, part)
        for index, test in enumerate(profile.tests)
        for place, part in _parts(index, test)
    ]
    if not any(_is_negative(part.get("expect", {})) for _, part in parts):
        findings.error(
            "nothing-refused",
            ("tests",),
            "no vector shows what is refused: add one that expects 'reject', 'quality' or "
            "'points: []'",
        )
    names: dict[str, int] = {}
    for index, test in enumerate(profile.tests):
        first = names.setdefault(test["name"], index)
        if first != index:
            findings.warn(
                "vector-name-twice",
                ("tests", index, "name"),
                f"vector {first + 1} has the same name: a failure could not tell which it is",
            )
    for place, part in parts:
        if ("recv" in part or "command" in part) and not part.get("expect"):
            findings.warn(
                "vector-expects-nothing",
                place,
                "expects nothing, so it passes with almost any value: add 'expect: {points: […]}'",
            )


def _parts(
    index: int, test: Mapping[str, Any]
) -> list[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    steps = [(("tests", index, "steps", n), step) for n, step in enumerate(test.get("steps", ()))]
    return [(("tests", index), test), *steps]


def _is_negative(expect: Mapping[str, Any]) -> bool:
    if "reject" in expect or expect.get("quality") or expect.get("unread"):
        return True
    return expect.get("points") == [] or any(map(_is_negative, expect.get("devices", {}).values()))
