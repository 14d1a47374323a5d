"""From one arrival to records: the way, the decoder, the device, its alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import structs

from device_profiles.decoded import Decoded, Unread
from device_profiles.memory import Attempt
from device_profiles.moments import RECEIPTS
from device_profiles.profile import Profile
from edge_agent.arrival import Arrival
from edge_agent.choice import Choice
from edge_agent.draft import Draft
from edge_agent.memory import SpoolMemory
from edge_agent.plain import PlainReader
from edge_agent.registry import OVERTAKEN_NS, Device, Registry, shown
from edge_agent.rules import Rules
from edge_agent.stamps import Stamps
from edge_agent.ways import Way, Ways
from gateway_core.errors import PayloadError
from gateway_core.meter import Meter
from gateway_core.model import Reading
from gateway_core.time_marks import replaced

MAX_DETAIL = 200
ALL_READ: Sequence[Unread] = ()
SESSIONS = "sparkplug"
"""Kinds of memory about a sender, who goes on whether we store what it says or not."""


class Reader:
    """Reads arrivals; everything here is memory, nothing waits.

    Args:
        edge: This edge's id.
        registry: The devices.
        ways: From addresses to profiles.
        rules: The alarms.
        meter: Counts flags and messages that said nothing.
        max_payload: Longest payload in bytes that is decoded.
        memory: Of earlier messages, for the profiles that need them.

    Attributes:
        plain: Reads, before `read` is asked, what needs less than it does.
        profile: Id of the profile that read the last message.
        refuser: Id of the one profile that was to read the last message; empty where several
            might have.
        received: The receive time that its readings carry.
        heeded: Whether the rules know already what the next message says.
    """

    def __init__(
        self,
        edge: str,
        registry: Registry,
        ways: Ways,
        rules: Rules,
        meter: Meter,
        max_payload: int,
        memory: SpoolMemory,
    ) -> None:
        self.memory = memory
        self._edge = edge
        self._registry = registry
        self._ways = ways
        self._rules = rules
        self._meter = meter
        self._max_payload = max_payload
        self._choice = Choice(registry, ways, memory)
        self.profile = self.refuser = ""
        self.received = 0
        self.heeded = False
        self._replaced = 0  # times of devices not believed, before this message
        self._stamps = Stamps()
        self.plain = PlainReader(edge, registry, ways, rules, max_payload, self._stamps)

    def read(self, arrival: Arrival, draft: Draft, *, live: bool = True) -> Sequence[Unread]:
        """Add what an arrival says to a draft.

        Args:
            arrival: Of any source.
            draft: Takes records, announcements and alarms.
            live: False for a replay: it is history, so alarms and silence are not concerned.

        Returns:
            Of a message about several devices those that were not taken in; else nothing.

        Raises:
            PayloadError: None of it can be read; the draft is as before.
        """
        payload = arrival.payload
        if len(payload) > self._max_payload or arrival.cut:
            raise _too_large(arrival, self._max_payload)
        way = self._ways.find(arrival.via, arrival.address, arrival.content_format)
        if way.reason:
            raise PayloadError(way.reason, "no loaded profile reads this address")
        received = self._stamps.next(arrival.received, live=live)
        attempt, left = None, ALL_READ
        self.refuser = ""
        self._replaced = RECEIPTS.replaced
        if way.alone:
            route = way.routes[0]
            self.refuser = route.profile.id
            decoded = route.decode(payload, received, arrival.content_format)
            device = self._registry.devices.get(way.device or decoded.device)
        else:
            try:
                tried = self._choice.read(way, arrival, received, live=live)
            finally:
                self.refuser = self._choice.refuser
            route, decoded, device, attempt = tried
        profile = route.profile
        self.profile, self.received = profile.id, received
        try:
            if decoded.more or arrival.only is not None:
                left = self._several(arrival, draft, profile, decoded, received, live=live)
            else:
                self._take(
                    arrival, draft, profile, decoded, device, received, way.device, live=live
                )
        except PayloadError:
            if attempt is not None:
                self._remember(attempt.only(SESSIONS), arrival, draft, decoded, live=live)
            raise
        if attempt is not None:
            self._remember(attempt, arrival, draft, decoded, live=live)
        return left

    def read_again(self, arrival: Arrival, received: int, draft: Draft) -> Sequence[Unread]:
        """Read what an append did not store, as `read`; it keeps the instant that it was given.

        What came after it may be stored by now: at a new instant it would pass for the later one.
        """
        newest, self._stamps.live = self._stamps.live, 0
        try:
            return self.read(structs.replace(arrival, received=received), draft)
        finally:
            self._stamps.live = max(newest, self._stamps.live)

    def _heard(self, device: Device, arrival: Arrival, draft: Draft, *, live: bool) -> None:
        """Note where a device spoke last, and that it is silent no more."""
        late = device.last_seen - arrival.received
        if late < 0 or (live and late > OVERTAKEN_NS):
            device.last_seen = arrival.received
            device.source = arrival.source
            if device.heard != arrival.address:  # else one text would be kept twice
                device.heard = arrival.address
            device.peer = arrival.peer
        if live and device.id in self._rules.silent:
            self._rules.spoke(device, arrival.received, draft)

    def _remember(
        self, attempt: Attempt, arrival: Arrival, draft: Draft, decoded: Decoded, *, live: bool
    ) -> None:
        """Keep what a message taught, and note what is to be sent back."""
        self.memory.take(attempt, arrival, draft, live=live)
        if live:
            draft.asks.extend((arrival.source, ask) for ask in decoded.asks)

    def heed(self, arrival: Arrival, draft: Draft) -> bool:
        """Let the rules know what a message says of a known device, and nothing else.

        Returns:
            False where that cannot be told from the message alone.
        """
        way = self._ways.find(arrival.via, arrival.address, arrival.content_format)
        long = len(arrival.payload) > self._max_payload
        if not way.alone or way.scripted or long or arrival.cut:
            return False
        route = way.routes[0]
        try:
            decoded = route.decode(arrival.payload, arrival.received, arrival.content_format)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # it is refused, or told of, when it is read
            return False
        device = self._registry.devices.get(way.device or decoded.device)
        if device is None or decoded.more or arrival.only is not None or not route.profile.alarms:
            return False
        for point in decoded.readings:
            self._rules.step(device, route.profile.id, point.fields, point.time, draft)
        return True

    def own_place(self, way: Way, arrival: Arrival) -> int | None:
        """Return which route is the device's own; see `Choice.own_place`."""
        return self._choice.own_place(way, arrival)

    def tell_lineage(self, draft: Draft) -> None:
        """Put before what was read which versions read it, where they are not those before."""
        if self._ways.lineage is not None:
            self._ways.lineage.tell(draft)

    def _several(
        self,
        arrival: Arrival,
        draft: Draft,
        profile: Profile,
        decoded: Decoded,
        received: int,
        *,
        live: bool,
    ) -> Sequence[Unread]:
        """Take in a message about several devices: each for itself, as if it had come alone."""
        only, left, taken = arrival.only, [], 0
        for part in (decoded, *decoded.more):
            if only is not None and part.part not in only:
                continue
            if isinstance(part, Unread):
                left.append(part)
                continue
            device = self._registry.devices.get(part.device)
            try:
                self._take(arrival, draft, profile, part, device, received, "", live=live)
                taken += 1
            except PayloadError as exc:
                left.append(Unread(part.part, exc.code, exc.detail))
        if left and not taken:
            raise PayloadError(left[0].code, left[0].detail)
        if only is not None and not taken:
            raise PayloadError("no_devices", "the message no longer tells of these devices")
        # A device that the message names several times has its readings after one another.
        self._stamps.spread(received + len(decoded.more), live=live)
        return left

    def _take(
        self,
        arrival: Arrival,
        draft: Draft,
        profile: Profile,
        decoded: Decoded,
        device: Device | None,
        received: int,
        name: str,
        *,
        live: bool,
    ) -> None:
        """Enter what an arrival says of one device.

        Args:
            arrival: It.
            draft: Takes what is to be stored.
            profile: Which read it.
            decoded: What it says of the device.
            device: The device, or None where nobody knows it.
            received: The receive time of its readings.
            name: What a list calls the device, or empty: it is called as the message says.
            live: False for a replay.

        Raises:
            PayloadError: The device cannot be entered, or nothing of it is good; the draft is as
                before.
        """
        points = decoded.readings
        if not points and decoded.online is None:
            self._say_nothing(arrival, decoded)
            return
        if device is None:
            device = self._admit(name or decoded.device, profile, arrival, draft)
        self._heard(device, arrival, draft, live=live)
        if decoded.flags:
            self._count_flags(decoded.flags)
        if decoded.online is not None:
            # a message about several devices, or with readings, is nobody's last words
            alone = not (points or decoded.more or decoded.part)
            said = shown(arrival.payload) if alone else ""
            self._present(
                device, arrival.received, draft, online=decoded.online, said=said, live=live
            )
        if not points:
            return
        last = points[-1].time - received  # readings without a time follow one another
        self._stamps.give(received + (last if 0 < last < len(points) else 0), live=live)
        who, kind, edge, measurement = device.id, profile.id, self._edge, profile.measurement
        for point in points:
            time, fields, flags = point.time, point.fields, point.flags
            if flags:
                self._count_flags(flags)
            reading = Reading(
                edge, who, kind, measurement, time, received, fields, point.tags, flags
            )
            if self._replaced != RECEIPTS.replaced:
                reading = replaced(reading)
            draft.records.append(reading)
            if live and profile.alarms and not self.heeded:
                self._rules.step(device, kind, fields, time, draft)

    def _present(
        self,
        device: Device,
        received: int,
        draft: Draft,
        *,
        online: bool,
        said: str,
        live: bool,
    ) -> None:
        """Enter that a device said it is there, or not; of a replay only what is still the last."""
        if not live and received < device.last_seen:
            return
        if self._registry.set_online(device, said, online=online):
            draft.news.append(self._registry.listed(device, received))

    def _admit(self, name: str, profile: Profile, arrival: Arrival, draft: Draft) -> Device:
        """Enter a device that nobody knows, and announce it; a withdrawn profile gets no more."""
        if profile.status == "withdrawn":
            instead = f"; use {profile.successor}" if profile.successor else ""
            raise PayloadError("profile_withdrawn", f"{profile.id} was withdrawn{instead}")
        device = self._registry.admit(
            name, profile.id, arrival.source, arrival.address, arrival.received
        )
        draft.news.append(self._registry.listed(device, arrival.received))
        return device

    def _say_nothing(self, arrival: Arrival, decoded: Decoded) -> None:
        """Refuse a message all of whose values were bad; count one that has nothing of ours."""
        if decoded.held:
            self._meter.count("tidegate_held", source=arrival.source)
            return
        if decoded.flags:
            self._count_flags(decoded.flags)
            raise PayloadError("no_good_value", " ".join(decoded.flags)[:MAX_DETAIL])
        self._meter.count("tidegate_empty", source=arrival.source)

    def _count_flags(self, flags: Iterable[str]) -> None:
        for flag in flags:
            self._meter.count("tidegate_flagged", code=flag.rpartition(":")[2])


def _too_large(arrival: Arrival, most: int) -> PayloadError:
    size = len(arrival.payload)
    if arrival.cut:
        return PayloadError("too_large", f"given up after {size} bytes")
    return PayloadError("too_large", f"{size} bytes, at most {most}")
