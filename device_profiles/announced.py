"""What devices have announced: from a topic to the route that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from device_profiles.codecs import Context, Message, Packet
from device_profiles.homeassistant.announcement import Entity, Presence, parse_announcement, said
from device_profiles.homeassistant.learning import KIND, Announcement
from device_profiles.memory import Memory, MemoryOfOne, Recall
from device_profiles.opened import plain_open
from device_profiles.profile import Profile
from device_profiles.route import Entry, Route
from device_profiles.topics import Level, Template
from gateway_core.errors import PayloadError

_ONLINE = "homeassistant-online"
_NOTHING = frozenset({"", "unknown", "unavailable", "None", "none", "null"})
MOST_TOPICS = 5_000


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """What the availability topics of one device last said."""

    topics: dict[str, bool] = {}


class Announced:
    """The routes of what is announced now; made anew when announcements change.

    Args:
        profile: The profile whose ``match`` has ``via: homeassistant``.
        memory: Holds the announcements.
        keys: Of theirs, oldest first; beyond 5,000 topics the later ones are left out.
        before: What was announced until now; what has not changed is not read again.

    Attributes:
        parsed: Entities by announcement: its topic and payload.
        left_out: Entities for whose topics there was no room.
    """

    def __init__(
        self,
        profile: Profile,
        memory: Recall,
        keys: Iterable[str],
        before: Announced | None = None,
    ) -> None:
        self._profile = profile
        self._pattern = next(each for each in profile.entries if each.via == KIND)
        self.parsed: dict[tuple[str, bytes], list[Entity]] = {}
        self._before = {} if before is None else before.parsed
        self._topics: set[str] = set()
        self._entities: dict[str, list[Entity]] = {}
        self._presences: dict[str, list[tuple[Presence, Entity]]] = {}
        self._routes: dict[str, Route] = {}
        self.left_out = 0
        for key in keys:
            kept = memory.get(key, Announcement)
            if kept is not None:
                self._enter(key.removeprefix(f"{KIND}/"), kept.payload)
        self._before = {}

    def _enter(self, topic: str, payload: bytes) -> None:
        found = self._before.get((topic, payload))
        if found is None:
            try:
                found = parse_announcement(topic, payload)
            except PayloadError:
                return  # an older version took it
        self.parsed[topic, payload] = found
        for entity in found:
            places = {entity.topic, *(each.topic for each in entity.presence)}
            new = places - self._topics
            if len(self._topics) + len(new) > MOST_TOPICS:
                self.left_out += 1
                continue
            self._topics |= new
            self._entities.setdefault(entity.topic, []).append(entity)
            for each in entity.presence:
                self._presences.setdefault(each.topic, []).append((each, entity))

    def topics(self) -> set[str]:
        """Return the topics to listen to."""
        return self._topics

    def route(self, topic: str) -> Route | None:
        """Return the route of a topic; None where nobody announced it."""
        route = self._routes.get(topic)
        if route is None and topic in self._topics:
            route = self._routes[topic] = Route(self._profile, (), self._entry(topic))
        return route

    def _entry(self, topic: str) -> Entry:
        template = Template(topic, tuple(Level(level, None, ()) for level in topic.split("/")))
        says = _Says(topic, self._entities.get(topic, []), self._presences.get(topic, []))
        return replace(
            self._pattern,
            template=template,
            open=plain_open(lambda payload, _format: payload),
            decode=says,
            remembers=bool(says.presences),
        )


class _Says:
    """Decodes what comes to one announced topic."""

    def __init__(
        self, topic: str, entities: list[Entity], presences: list[tuple[Presence, Entity]]
    ) -> None:
        self._topic = topic
        self._entities = entities
        devices = {entity.device: (presence, entity) for presence, entity in presences}
        self.presences = list(devices.values())

    def __call__(self, payload: object, context: Context) -> list[Packet] | Message:
        assert isinstance(payload, bytes)
        packets, wrong = [], None
        for entity in self._entities:
            try:
                packets.append(_packet(entity, payload))
            except PayloadError as exc:
                wrong = exc
        if not packets and wrong is not None and not self.presences:
            raise wrong
        if not self.presences:
            return packets
        memory = context.memory or MemoryOfOne()
        states = [said(presence.read(payload)) for presence, _ in self.presences]
        told = [
            (_captures(entity), online)
            for (presence, entity), state in zip(self.presences, states, strict=True)
            if (online := self._online(presence, entity, state, memory)) is not None
        ]
        if not told and not packets:
            if any(
                s in (p.there, p.gone) for (p, _), s in zip(self.presences, states, strict=True)
            ):
                return []  # the device's other topics have yet to speak
            raise PayloadError("bad_availability", "neither what means there nor what means gone")
        return Message(packets, [], online=None, also=tuple(told), sender=False)

    def _online(
        self, presence: Presence, entity: Entity, state: str, memory: Memory
    ) -> bool | None:
        """Return whether a device is there, by this topic and what its others said before."""
        if state not in (presence.there, presence.gone):
            return None
        online = state == presence.there
        if entity.mode == "latest" or len(entity.presence) == 1:
            return online
        key = f"{_ONLINE}/{entity.device}"
        before = memory.get(key, Heard) or Heard()
        topics = {each.topic for each in entity.presence}
        known = {t: s for t, s in before.topics.items() if t in topics} | {self._topic: online}
        memory.put(key, Heard(known))
        if entity.mode == "any":
            return any(known.values()) or (False if len(known) == len(topics) else None)
        if not all(known.values()):
            return False
        return True if len(known) == len(topics) else None


def _captures(entity: Entity) -> Mapping[str, str]:
    unit = {"unit": entity.stored.unit} if entity.stored.unit else {}
    return {"device": entity.device, "entity": entity.name, **unit}


def _packet(entity: Entity, payload: bytes) -> Packet:
    value: Any = entity.read(payload)
    stored = entity.stored
    if entity.on:
        value = {entity.on: True, entity.off: False}.get(said(value), value)
    if isinstance(value, str) and value in _NOTHING:
        value = None
    if stored.field not in ("state", "on") and not stored.field.endswith("_on"):
        value = _number(value)
        if stored.factor is not None and type(value) in (int, float):
            factor = stored.factor
            value = (value * factor.num + factor.add) / factor.den
    elif stored.field == "state" and value is not None:
        value = said(value)
    return Packet(None, None, {stored.field: value}, captures=_captures(entity))


def _number(value: Any) -> Any:
    """Return the number that a text is; anything else as it is, for quality to judge."""
    if not isinstance(value, str):
        return value
    try:
        return int(value) if value.lstrip("-").isdecimal() and len(value) < 20 else float(value)
    except ValueError:
        return value
