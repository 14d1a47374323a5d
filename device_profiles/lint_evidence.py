"""What a profile's own vectors show: the ground on which most rules of lint stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from device_profiles.faults import Place
from device_profiles.passage import Passage, Watched
from device_profiles.paths import PathFault, compile_path, parse_path
from device_profiles.profile import Profile
from gateway_core.model import Value


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a vector.

    Attributes:
        place: Where it stands: ``("tests", 3)`` or ``("tests", 3, "steps", 1)``.
        name: The vector's name.
        recv: The message as written.
        expect: What is expected of it.
        passage: What became of it.
    """

    place: Place
    name: str
    recv: Mapping[str, Any]
    expect: Mapping[str, Any]
    passage: Passage


@dataclass(slots=True)
class Evidence:
    """What all vectors show.

    Attributes:
        heard: Every message.
        raised: Rules that some vector raised.
        cleared: Rules that some vector cleared.
        fields: Field to the values that were stored.
        flagged: Fields that were flagged at least once.
        watched: The profile that was watched, with its trace.
    """

    watched: Watched
    heard: list[Heard] = field(default_factory=list)
    raised: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    fields: dict[str, list[Value]] = field(default_factory=dict)
    flagged: set[str] = field(default_factory=set)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the measurements looked at: messages, stored records, devices, packs."""
        for heard in self.heard:
            yield from heard.passage.records

    def at(self, path: str) -> list[Any]:
        """Return what stood at a path of the decoded values, wherever something did."""
        try:
            get = compile_path(parse_path(path))
        except PathFault:
            return []
        found = []
        for record in self.records():
            value = record.get(path)  # a name of a SenML pack is not a path
            value = get(record) if value is None else value
            if value is not None:
                found.append(value)
        return found


def gather(profile: Profile) -> Evidence:
    """Send every message of a profile's vectors through it, each vector from a clean state."""
    watched = Watched(profile)
    evidence = Evidence(watched)
    for index, test in enumerate(profile.tests):
        bench = watched.bench()
        place: Place = ("tests", index)
        parts = [(place, test)] if "recv" in test else []
        parts += [((*place, "steps", n), step) for n, step in enumerate(test.get("steps", ()))]
        for where, part in parts:
            passage = watched.pass_vector(bench, part["recv"])
            expect = part.get("expect", {})
            evidence.heard.append(Heard(where, test["name"], part["recv"], expect, passage))
            _enter(evidence, passage)
    return evidence


def _enter(evidence: Evidence, passage: Passage) -> None:
    received = passage.received
    for mark in received.alarms:
        (evidence.raised if mark[0] == "+" else evidence.cleared).add(mark[1:])
    evidence.flagged.update(flag.partition(":")[0] for flag in received.quality)
    for decoded in received.decoded.devices if received.decoded else ():
        for point in decoded.readings:
            for name, value in point.fields.items():
                evidence.fields.setdefault(name, []).append(value)
