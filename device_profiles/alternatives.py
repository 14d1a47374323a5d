"""Several elements of one profile's ``match`` that read the same topic or path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from device_profiles.decoded import Decoded
from device_profiles.memory import Memory
from device_profiles.route import Route
from gateway_core.errors import PayloadError

ELSEWHERE = "not_applicable"
"""The rejection that says: for none of these, ask the next."""


@dataclass(slots=True)
class Alternatives(Route):
    """Routes of one profile, literal topics first, then as in its ``match``; the first that suits.

    An element whose ``where`` holds decides, also by refusing. One without ``where`` decides when
    it can read the message; else the next is asked.

    Attributes:
        routes: All of them; what stands in `said` and `entry` is of the first.
    """

    routes: tuple[Route, ...] = ()

    @property
    def parts(self) -> tuple[Route, ...]:
        """The routes."""
        return self.routes

    @property
    def device(self) -> str | None:
        """The device's id where every route finds the same in the topic or path; else None."""
        found = {route.device for route in self.routes}
        return found.pop() if len(found) == 1 else None

    @property
    def remembers(self) -> bool:
        """Whether one of them may need earlier messages."""
        return any(route.remembers for route in self.routes)

    def decode(
        self,
        payload: bytes,
        received: int,
        content_format: int | None = None,
        memory: Memory | None = None,
    ) -> Decoded:
        """Return what the message says; see `Route.decode`."""
        why: PayloadError | None = None
        for route in self.routes:
            try:
                opened = route.open(payload, content_format)
                if opened is not None and not route.suits(opened):
                    continue
            except PayloadError as exc:  # what it cannot even open is not for it
                why = _graver(why, exc)
                continue
            if opened is not None:
                return route.read(opened, payload, received, content_format, memory)
            try:
                return route.decode(payload, received, content_format, memory)
            except PayloadError as exc:
                if exc.code == "duplicate":  # it was read, and had been before
                    raise
                why = _graver(why, exc)
        raise why or PayloadError(ELSEWHERE, "no 'where' of this profile holds for this message")


def _graver(before: PayloadError | None, now: PayloadError) -> PayloadError:
    """Return the rejection that says more; of two that do, the first."""
    return now if before is None or before.code == ELSEWHERE else before


def gather(routes: Iterable[Route]) -> list[Route]:
    """Return the routes with those of one profile and kind joined, where the first of them was."""
    groups: dict[object, list[Route]] = {}
    for route in routes:
        groups.setdefault((route.profile.id, route.entry.formats), []).append(route)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Route]) -> Route:
    first = group[0]
    if len(group) == 1:
        return first
    return Alternatives(first.profile, first.said, first.entry, routes=tuple(group))
