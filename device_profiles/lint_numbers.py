"""Lint of numbers and words: ranges, scales and value lists that contradict the vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from device_profiles.faults import Place
from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import FieldSpec, Profile
from device_profiles.quality import wire_line
from device_profiles.units import UnitFault

_SHORT_WORD = 24
_FEW_WORDS = 12


def lint_numbers(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    """Enter expectations that the profile's own limits forbid, and types that lose something."""
    for index, test in enumerate(profile.tests):
        for where, part in _parts(test, ("tests", index)):
            for place, name, value in _expected(part.get("expect", {}), (*where, "expect")):
                spec = profile.fields.get(name)
                trouble = _forbidden(spec, value) if spec is not None else ""
                if trouble:
                    findings.error("vector-against-limits", place, trouble)
    for name, spec in profile.document.data["measurements"].items():
        place = ("measurements", name)
        _check_rounding(spec, place, findings)
        _check_words(spec, evidence.fields.get(name, []), place, findings)


def _expected(expect: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str, Any]]:
    """Yield every value that is expected, also of the devices of one message."""
    for number, point in enumerate(expect.get("points", ())):
        for name, value in point.items():
            yield (*place, "points", number, name), name, value
    for device, said in expect.get("devices", {}).items():
        yield from _expected(said, (*place, "devices", device))


def _parts(test: Mapping[str, Any], place: Place) -> list[tuple[Place, Mapping[str, Any]]]:
    steps = [((*place, "steps", n), step) for n, step in enumerate(test.get("steps", ()))]
    return [(place, test), *steps]


def _forbidden(spec: FieldSpec, value: Any) -> str:
    """Return why no message can give this value, or nothing."""
    if spec.values and isinstance(value, str) and value not in spec.values:
        return f"{value!r} is not among the values of {spec.name}: {', '.join(spec.values)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    low, high = spec.low, spec.high
    if (low is not None and value < low) or (high is not None and value > high):
        return (
            f"{value} is outside the range [{low}, {high}] of {spec.name}: widen the range, or "
            f"expect quality [{spec.name}:range]"
        )
    return ""


def _check_rounding(spec: Mapping[str, Any], place: Place, findings: Findings) -> None:
    """Enter integers whose scale makes fractions that are rounded away."""
    if spec["type"] != "int":
        return
    try:
        line = wire_line(spec)
    except (UnitFault, OverflowError):
        return  # entered where the profile is compiled
    factor, offset = Fraction(line.num, line.den), Fraction(line.add, line.den)
    if factor.denominator == 1 and offset.denominator == 1:
        return
    key = next((key for key in ("scale", "offset", "wire_unit") if key in spec), "type")
    findings.warn(
        "int-loses-fraction",
        (*place, key),
        f"an int times {float(factor):g} is rounded to whole numbers; did you mean 'type: float'?",
    )


def _check_words(
    spec: Mapping[str, Any], seen: list[Any], place: Place, findings: Findings
) -> None:
    """Enter free texts that are always one of a few words."""
    if spec["type"] != "string" or "values" in spec or spec.get("kind") == "diagnostic":
        return
    words = sorted({word for word in seen if isinstance(word, str)})
    if 2 <= len(words) <= _FEW_WORDS and all(
        len(word) <= _SHORT_WORD and word.replace("_", "").isalnum() for word in words
    ):
        findings.warn(
            "string-of-few-words",
            (*place, "type"),
            f"only few words come: use 'type: enum, values: [{', '.join(words)}]', so that a "
            "new word is flagged and not stored",
        )
