"""Ways: which profiles may read what arrives at an address, found once and then remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from device_profiles.catalogue import Catalogue
from device_profiles.profile import Profile
from device_profiles.route import NO_TAGS, Entry, Route
from edge_agent.arrival import Arrival
from edge_agent.lineage import Lineage
from edge_agent.listing import Listing
from gateway_core.errors import PayloadError

_Key = TypeVar("_Key")
MAX_WAYS = 200_000
MAX_ADDRESS = 512
MAX_LEVELS = 32


@dataclass(slots=True)
class Way:
    """What may read the payloads of one address.

    Attributes:
        routes: In the order to try them.
        reason: Why there is none: ``no_match`` or ``bad_topic``; empty when there is one.
        device: The id that devices.csv gives to the one device that speaks here, where it gives
            one and the address alone names the device; else empty.
        open_to: How many of the routes, from the first, take in a device that nobody knows: where
            a site's own profile reads an address, those that ship do so only for their devices,
            and withdrawn ones always.
        last: Which of the routes read the last message of a known device. A network server's
            topic names the device, so it will read the next one too: it is tried first.
        alone: Whether there is one route, and it reads each message by itself.
        scripted: Whether JavaScript decodes for any of the routes.
        swift: The device whose plain messages the one route reads the short way, or empty.
        entry: Of that route; None where it does not read them so.
        profile: Likewise.
        tags: Of its readings.
        address: The address itself, one text for all who keep it.
    """

    routes: tuple[Route, ...]
    reason: str = ""
    device: str = ""
    open_to: int = 0
    last: int = 0
    alone: bool = False
    scripted: bool = False
    swift: str = ""
    entry: Entry | None = None
    profile: Profile | None = None
    tags: dict[str, str] = field(default_factory=lambda: NO_TAGS)
    address: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """What devices.csv says of an address: which device speaks there, read by which profile."""

    device: str
    profile: str


class Ways:
    """From an address to its way: one dict look-up for an address seen before.

    Never more than ``MAX_WAYS`` are remembered; beyond that the oldest is forgotten and found anew
    when it is needed.

    Args:
        catalogue: The loaded profiles.
        lineage: Is told which of them reads an address; None where nobody asks.

    Attributes:
        announced: How a topic is read that a device announced; None for others. It goes behind a
            site's own profiles and before those that ship.
        scripted: Whether any of the profiles decodes with JavaScript.
        mqtt: The ways found so far by topic; `find` adds to them.
        coap: Likewise by path and Content-Format.
    """

    def __init__(self, catalogue: Catalogue, lineage: Lineage | None = None) -> None:
        self.scripted = _scripted(catalogue)
        self.lineage = lineage
        self._catalogue = catalogue
        self.announced: Callable[[str], Route | None] = lambda _topic: None
        self._pins: Mapping[str, Pin] = {}
        self.mqtt: dict[str, Way] = {}
        self.coap: dict[tuple[str, int | None], Way] = {}

    def use(self, catalogue: Catalogue) -> None:
        """Take other profiles from now on."""
        self.scripted = _scripted(catalogue)
        self._catalogue = catalogue
        self.forget()

    def pin(self, pins: Mapping[str, Pin]) -> None:
        """Take other listed addresses from now on; one that several devices share has no pin."""
        self._pins = pins
        self.forget()

    def find(self, via: str, address: str, content_format: int | None = None) -> Way:
        """Return what may read a payload.

        Args:
            via: ``mqtt`` or ``coap``.
            address: Topic or path.
            content_format: CoAP Content-Format, or None.
        """
        if via == "mqtt":
            return self.mqtt.get(address) or self._find_mqtt(address)
        return self.coap.get((address, content_format)) or self._find_coap(address, content_format)

    def reads(self, profile: str, arrival: Arrival) -> bool:
        """Tell whether a profile may read what arrived."""
        way = self.find(arrival.via, arrival.address, arrival.content_format)
        return any(route.profile.id == profile for route in way.routes)

    def note(self, route: Route) -> None:
        """Note that a route is about to read."""
        if self.lineage is not None:
            self.lineage.note(route.profile)

    def forget(self) -> None:
        """Find every way anew."""
        self.mqtt.clear()
        self.coap.clear()

    def _find_mqtt(self, topic: str) -> Way:
        routes = [] if _hostile(topic) else self._catalogue.mqtt(topic)
        announced = None if _hostile(topic) else self.announced(topic)
        return _remember(self.mqtt, topic, self._noted(self._way(topic, routes, announced)))

    def _find_coap(self, path: str, content_format: int | None) -> Way:
        routes = [] if _hostile(path) else self._catalogue.coap(path, content_format)
        return _remember(self.coap, (path, content_format), self._noted(self._way(path, routes)))

    def _noted(self, way: Way) -> Way:
        if len(way.routes) == 1:
            self.note(way.routes[0])
        return way

    def _way(self, address: str, routes: list[Route], announced: Route | None = None) -> Way:
        said = [] if announced is None else [announced]
        if not routes and not said:
            return Way((), "bad_topic" if _hostile(address) else "no_match")
        pin = self._pins.get(address)
        pinned = [route for route in routes if pin and route.profile.id == pin.profile]
        if pin is None or not pinned:
            good = [route for route in routes if route.profile.status != "withdrawn"]
            gone = [route for route in routes if route.profile.status == "withdrawn"]
            own = [route for route in good if not self._catalogue.ships(route.profile)]
            rest = [route for route in good if self._catalogue.ships(route.profile)]
            open_to = len(own) or len(said) or len(rest)
            return _way(address, (*own, *said, *rest, *gone), open_to=open_to)
        device = pin.device if all(map(_names_device, pinned)) else ""
        return _way(address, tuple(pinned), device=device, open_to=len(pinned))


def pins_of(listings: Iterable[Listing]) -> dict[str, Pin]:
    """Return the pin of each address that exactly one device is listed with."""
    pins: dict[str, Pin] = {}
    shared = set()
    for line in listings:
        if line.address in pins:
            shared.add(line.address)
        if line.address:
            pins[line.address] = Pin(line.id, line.profile)
    return {address: pin for address, pin in pins.items() if address not in shared}


def _way(address: str, routes: tuple[Route, ...], *, open_to: int, device: str = "") -> Way:
    alone = len(routes) == 1 and not routes[0].remembers
    scripted = any(part.codec is not None for route in routes for part in route.parts)
    way = Way(routes, device=device, open_to=open_to, alone=alone, scripted=scripted)
    if alone and routes[0].entry.fast is not None and _names_device(routes[0]):
        way.swift, way.tags = device or routes[0].device or "", routes[0].tags
        way.entry, way.profile, way.address = routes[0].entry, routes[0].profile, address
    return way


def _scripted(catalogue: Catalogue) -> bool:
    return any(profile.codec is not None for profile in catalogue.profiles.values())


def _names_device(route: Route) -> bool:
    try:
        return route.device is not None
    except PayloadError:
        return False


def _hostile(address: str) -> bool:
    return (
        not 0 < len(address) <= MAX_ADDRESS
        or address.startswith("$")
        or not address.isprintable()
        or "+" in address
        or "#" in address
        or address.count("/") >= MAX_LEVELS
    )


def _remember(ways: dict[_Key, Way], key: _Key, way: Way) -> Way:
    if len(ways) >= MAX_WAYS:
        del ways[next(iter(ways))]
    ways[key] = way
    return way
