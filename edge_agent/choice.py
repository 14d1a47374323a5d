"""Which of the profiles that may read a message does, and what it reads; nothing is kept yet."""

from __future__ import annotations

from device_profiles.decoded import Decoded
from device_profiles.memory import Attempt
from device_profiles.route import Route
from edge_agent.arrival import Arrival
from edge_agent.memory import SpoolMemory
from edge_agent.registry import Device, Registry
from edge_agent.stranger import Candidate, choose
from edge_agent.ways import Way, Ways
from gateway_core.errors import PayloadError

Tried = tuple[Route, Decoded, Device | None, Attempt]
"""Which route reads a message, what it read, the device if known, and what is to be kept."""


class Choice:
    """Reads what several routes may read, or what needs earlier messages.

    Args:
        registry: The devices.
        ways: Is told which route reads.
        memory: Of earlier messages, for the profiles that need them.

    Attributes:
        refuser: Id of the one profile that was to read the last message; empty where several
            might have.
    """

    def __init__(self, registry: Registry, ways: Ways, memory: SpoolMemory) -> None:
        self.refuser = ""
        self._registry = registry
        self._ways = ways
        self._memory = memory

    def read(self, way: Way, arrival: Arrival, received: int, *, live: bool) -> Tried:
        """Read a message.

        Args:
            way: Of its address.
            arrival: It.
            received: The receive time of its readings.
            live: False for a replay.

        Raises:
            PayloadError: None of the routes reads it.
        """
        self.refuser = ""
        if len(way.routes) > 1:
            tried = self._choose(way, arrival, received, live=live)
            self._ways.note(tried[0])
            return tried
        attempt = self._attempt(arrival, live=live)
        route = way.routes[0]
        self.refuser = route.profile.id
        decoded = route.decode(arrival.payload, received, arrival.content_format, attempt)
        return route, decoded, self._registry.devices.get(way.device or decoded.device), attempt

    def own_place(self, way: Way, arrival: Arrival) -> int | None:
        """Return which route is the device's own, where the message names a device that is known.

        No other profile's JavaScript is then run on it: a bad codec harms its own devices only.
        """
        name = way.device or way.routes[0].named(arrival.payload)
        device = self._registry.devices.get(name) if name else None
        if device is None:
            return None
        places = enumerate(way.routes)
        return next((n for n, route in places if route.profile.id == device.profile), None)

    def _attempt(self, arrival: Arrival, *, live: bool) -> Attempt:
        """Return a memory to try an arrival in; what is left of one is no duplicate of the rest."""
        return self._memory.attempt(live=live, blind="" if arrival.only is None else "dedup/")

    def _choose(self, way: Way, arrival: Arrival, received: int, *, live: bool) -> Tried:
        """Return which of several routes reads this payload, what it read, and the device if known.

        The known device's profile wins; for a device that nobody knows, see `stranger.choose`.
        What a profile remembers as said already it read before, so it is the device's.
        """
        devices, routes = self._registry.devices, way.routes
        readable: list[Candidate] = []
        attempts: list[Attempt] = []
        error: PayloadError | None = None
        own = self.own_place(way, arrival) if way.scripted else None
        others = (n for n in range(len(routes)) if n != way.last)
        for place in (way.last, *others) if own is None else (own,):
            route = routes[place]
            attempt = self._attempt(arrival, live=live)
            try:
                decoded = route.decode(arrival.payload, received, arrival.content_format, attempt)
            except PayloadError as exc:
                if exc.code == "duplicate":
                    raise
                error = error or exc
                continue
            device = devices.get(way.device or decoded.device)
            if device is not None and device.profile == route.profile.id:
                way.last = place
                return route, decoded, device, attempt
            if place < way.open_to:
                readable.append((route, decoded))
                attempts.append(attempt)
        if not readable:
            own = self.own_place(way, arrival)
            self.refuser = "" if own is None else routes[own].profile.id
            raise error or PayloadError("no_match")
        device = devices.get(way.device or readable[0][1].device)
        if device is None:
            chosen = choose(readable, arrival.payload)
            return (*chosen, None, attempts[readable.index(chosen)])
        if any(route.profile.id == device.profile for route in routes):
            raise error or PayloadError("wrong_profile", f"{device.id} is a {device.profile}")
        return (*readable[0], device, attempts[0])
