"""Lint of reach: what no vector comes to, and bytes of vectors that nobody reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_profiles.faults import Place
from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence, Heard
from device_profiles.profile import Profile
from device_profiles.quality import map_key

_MOST_NAMED = 5
_MOST_CASES = 12
_LAYOUTS = ("struct", "tlv")
_NEVER = "so nothing proves what it means; add one"


def lint_reach(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    """Enter every part of a profile that its vectors leave unproven."""
    _check_match(profile, evidence, findings)
    _check_layouts(evidence, findings)
    _check_fields(profile, evidence, findings)
    _check_maps(profile, evidence, findings)
    _check_bytes(evidence, findings)


def _check_match(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    reached = {heard.passage.entry for heard in evidence.heard}
    for index, spec in enumerate(profile.document.data["match"]):
        if index not in reached and spec.get("role") not in ("ack", "ignore"):
            findings.warn("match-untested", ("match", index), f"no vector comes this way, {_NEVER}")


def _check_layouts(evidence: Evidence, findings: Findings) -> None:
    trace = evidence.watched.trace
    cases: dict[Place, list[Place]] = {}
    for place, kind in trace.reachable.items():
        if place in trace.reached:
            continue
        if kind == "case":
            cases.setdefault(place[:-1], []).append(place)
            continue
        held = f"the condition of {place[-1]} holds in no vector"
        if kind == "layout":
            held = "no vector has this layout"
        findings.warn("layout-untested", place, f"{held}, {_NEVER}")
    for places in cases.values():  # one stream, one doubt
        what = f"case {places[0][-1]} is" if len(places) == 1 else f"cases {_named(places)} are"
        findings.warn("layout-untested", places[0], f"{what} never exercised by a vector, {_NEVER}")


def _named(places: Sequence[Place]) -> str:
    words = [str(place[-1]) for place in places]
    return ", ".join(words[:_MOST_CASES]) + (", …" if len(words) > _MOST_CASES else "")


def _check_fields(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    for name, spec in profile.document.data["measurements"].items():
        if name in evidence.fields or name in evidence.flagged:
            continue
        place = ("measurements", name)
        if "expr" in spec or "when" in spec or evidence.at(spec.get("from", name)):
            findings.warn("field-untested", place, f"no vector gives a value of {name}, {_NEVER}")
            continue
        path = spec.get("from", name)
        findings.warn(
            "path-never-there",
            (*place, "from") if "from" in spec else place,
            f"{path!r} stands in no vector, {_NEVER}, or mend the path{_like(path, evidence)}",
        )


def _like(path: str, evidence: Evidence) -> str:
    """Return a hint at a member of the vectors that is written almost the same."""
    wanted = path.replace('"', "").lower().replace("_", "")
    for record in evidence.records():
        for member in members(record):
            if member.replace('"', "").lower().replace("_", "") == wanted and member != path:
                return f"; did you mean {member!r}?"
    return ""


def members(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[str]:
    """Return the paths of everything in decoded values, as a profile would write them."""
    found = []
    for key, value in values.items():
        name = str(key)
        quoted = f'"{name}"' if any(mark in name for mark in '."[]') else name
        path = f"{prefix}.{quoted}" if prefix else quoted
        found.append(path)
        if isinstance(value, dict) and depth < _MOST_NAMED:
            found += members(value, path, depth + 1)
    return found


def _check_maps(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    for name, spec in profile.document.data["measurements"].items():
        seen = evidence.fields.get(name, [])
        if not seen:
            continue  # said once, of the whole field
        unseen = _unseen(spec, name, evidence, seen)
        if unseen:
            named = ", ".join(unseen[:_MOST_NAMED]) + (", …" if len(unseen) > _MOST_NAMED else "")
            findings.warn(
                "map-untested",
                ("measurements", name, "map", unseen[0]),
                f"no vector has {named}, {_NEVER}",
            )


def _unseen(spec: Mapping[str, Any], name: str, evidence: Evidence, seen: list[Any]) -> list[str]:
    """Return the keys of a map that no vector has; of computed values only what they became."""
    table: Mapping[str, Any] = spec.get("map", {})
    if "expr" in spec or "bit" in spec:
        return [key for key, value in table.items() if value not in seen]
    sent = {map_key(value) for value in evidence.at(spec.get("from", name))}
    return [key for key in table if key not in sent]


def _check_bytes(evidence: Evidence, findings: Findings) -> None:
    """Enter bytes after the last field, or under keys without a case, once for each step."""
    said: set[object] = set()
    for heard in evidence.heard:
        passage = heard.passage
        if passage.received.decoded is None or not passage.blocks:
            continue
        step = passage.steps[-1] if passage.steps else None
        if step is None or step[-1] not in _LAYOUTS or step in said:
            continue
        tail = _tail(heard)
        if tail:
            said.add(step)
            findings.warn("bytes-unread", step, tail)


def _tail(heard: Heard) -> str:
    """Return which bytes nobody reads; gaps before a field that says ``at`` are meant."""
    block = heard.passage.blocks[-1]
    steps = heard.passage.steps
    ranges = block.unread()
    if steps[-1][-1] == "struct" and not any(span.kind == "key" for span in block.spans):
        last = max((span.end for span in block.spans if span.kind == "field"), default=0)
        ranges = [(start, end) for start, end in ranges if start >= last]
    if not ranges:
        return ""
    named = ", ".join(f"{a}" if b == a + 1 else f"{a}-{b - 1}" for a, b in ranges[:_MOST_NAMED])
    return (
        f"bytes {named} of {heard.name!r} are read by nobody: name them, or write skipN where "
        "it is meant (profiles explain shows them)"
    )
