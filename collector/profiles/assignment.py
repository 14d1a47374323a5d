"""Which versions one edge shall use: a pure function of pins, roll-outs and what is published.

* A pin of the edge wins, then a pin of all edges, then the newest roll-out that reached the edge.
* A roll-out that was stopped or taken back counts as if it had never been.
* A version that is not published (any more) is never named: what was before it comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Stage = Literal["shadow", "canary", "rest", "done", "stopped", "rolled_back"]
GOING: tuple[Stage, ...] = ("shadow", "canary", "rest")
"""Stages that a later one follows."""
_OVER: tuple[Stage, ...] = ("stopped", "rolled_back")


@dataclass(frozen=True, slots=True)
class Rollout:
    """One roll-out of a version.

    Attributes:
        number: Later ones win.
        profile: ``vendor/model``.
        version: Semantic version.
        stage: How far it is.
        canary: Edges that go first.
        edges: All that it is for; None: every edge.
    """

    number: int
    profile: str
    version: str
    stage: Stage
    canary: frozenset[str]
    edges: frozenset[str] | None

    def covers(self, edge: str) -> bool:
        """Return whether it is for this edge at all."""
        return self.edges is None or edge in self.edges

    def reaches(self, edge: str) -> bool:
        """Return whether this edge shall decode with it now."""
        if self.stage == "canary":
            return edge in self.canary
        return self.stage in ("rest", "done") and self.covers(edge)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an edge does with one profile.

    Attributes:
        active: Version that decodes; None: the centre names none.
        shadow: Version that only compares, or None.
    """

    active: str | None
    shadow: str | None


NOTHING = Assignment(None, None)


def assign(
    edge: str,
    rollouts: Iterable[Rollout],
    pins: Mapping[tuple[str, str], str],
    usable: Collection[tuple[str, str]],
) -> dict[str, Assignment]:
    """Return profile to what ``edge`` does with it; profiles without either are left out.

    Args:
        edge: The edge.
        rollouts: Of all profiles, in any order.
        pins: (profile, edge) to version; edge ``""`` is every edge.
        usable: (profile, version) that may be activated.
    """
    named: dict[str, list[Rollout]] = {}
    for rollout in sorted(rollouts, key=lambda each: -each.number):
        fits = (rollout.profile, rollout.version) in usable
        if fits and rollout.stage not in _OVER and rollout.covers(edge):
            named.setdefault(rollout.profile, []).append(rollout)
    profiles = {*named, *(profile for profile, at in pins if at in (edge, ""))}
    found = {}
    for profile in sorted(profiles):
        one = _assign_one(edge, profile, named.get(profile, ()), pins, usable)
        if one != NOTHING:
            found[profile] = one
    return found


def _assign_one(
    edge: str,
    profile: str,
    newest_first: Sequence[Rollout],
    pins: Mapping[tuple[str, str], str],
    usable: Collection[tuple[str, str]],
) -> Assignment:
    pinned = pins.get((profile, edge), pins.get((profile, "")))
    active = pinned if pinned is not None and (profile, pinned) in usable else None
    if active is None:
        active = next((each.version for each in newest_first if each.reaches(edge)), None)
    newest = newest_first[0] if newest_first else None
    shadow = newest.version if newest is not None and newest.stage == "shadow" else None
    return Assignment(active, None if shadow == active else shadow)
