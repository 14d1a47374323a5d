"""Plain messages: what nearly every one is, a good reading of a known device, alone in its message.

A run of them is read in one loop that has everything at hand, at half the cost of the long way
(`edge_agent.reader`), which reads all others and would read these alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from device_profiles.moments import RECEIPTS
from device_profiles.route import FAST_FORMATS
from edge_agent.arrival import Arrival
from edge_agent.draft import Draft
from edge_agent.registry import Registry
from edge_agent.rules import Rules
from edge_agent.stamps import SAME_RUSH_NS, Stamps
from edge_agent.taken import Taken
from edge_agent.ways import Ways
from gateway_core.model import Reading
from gateway_core.time_marks import replaced

log = structlog.get_logger()


class PlainReader:
    """Reads runs of plain messages, as they come: a replay is none.

    Args:
        edge: This edge's id.
        registry: The devices.
        ways: From addresses to profiles; only addresses seen before have plain messages.
        rules: The alarms.
        max_payload: Longest payload in bytes that is decoded.
        stamps: The receive times given out.
    """

    def __init__(
        self,
        edge: str,
        registry: Registry,
        ways: Ways,
        rules: Rules,
        max_payload: int,
        stamps: Stamps,
    ) -> None:
        self._edge = edge
        self._registry = registry
        self._ways = ways
        self._rules = rules
        self._max_payload = max_payload
        self._stamps = stamps

    def read(self, arrivals: Sequence[Arrival], start: int, draft: Draft, found: Taken) -> int:
        """Read plain messages up to the first one that is not.

        Args:
            arrivals: A batch.
            start: Where to begin.
            draft: Takes records and alarms.
            found: Takes what became of each message that was read.

        Returns:
            The place of the first that was not read; the batch's length when all were.
        """
        edge, rules, most, stamps = self._edge, self._rules, self._max_payload, self._stamps
        devices, silent = self._registry.devices, rules.silent
        by_topic, by_path = self._ways.mqtt, self._ways.coap
        record, read_by, stamp = draft.records.append, found.profiles.append, found.received.append
        newest, unbelieved = stamps.live, RECEIPTS.replaced
        at = start
        for at in range(start, len(arrivals)):
            arrival = arrivals[at]
            address, payload, came = arrival.address, arrival.payload, arrival.received
            if arrival.via == "mqtt":
                way = by_topic.get(address)
            else:
                way = by_path.get((address, arrival.content_format))
            if (
                way is None
                or (entry := way.entry) is None
                or (profile := way.profile) is None
                or (device := devices.get(way.swift)) is None
                or len(payload) > most
                or arrival.cut
                or arrival.only is not None
                or arrival.content_format not in FAST_FORMATS
            ):
                break
            received = newest + 1 if 0 <= newest - came < SAME_RUSH_NS else came
            try:
                said = entry.fast(payload) if entry.fast is not None else None
                if said is None or not said[0]:
                    break
                fields, extra = said
                own = extra[entry.time_at] if entry.time_at is not None else None
                time = (
                    way.routes[0].time(extra, received)
                    if own is None
                    else entry.reader.clock.instant(own, received)
                )
                if came > device.last_seen:
                    device.last_seen, device.source = came, arrival.source
                    device.heard, device.peer = way.address, arrival.peer  # kept once, not twice
                if silent and device.id in silent:
                    rules.spoke(device, came, draft)
                if profile.alarms:
                    rules.step(device, profile.id, fields, time, draft)
            except Exception:  # noqa: BLE001  # a bug: the long way tells of it
                log.debug("not_read_plainly", address=address)
                break
            newest = received
            kind, who = profile.measurement, profile.id
            reading = Reading(edge, device.id, who, kind, time, received, fields, way.tags)
            if unbelieved != RECEIPTS.replaced:
                unbelieved, reading = RECEIPTS.replaced, replaced(reading)
            record(reading)
            read_by(who)
            stamp(received)
        else:
            at = len(arrivals)
        stamps.live = newest
        found.verdicts.extend([None] * (at - start))
        return at
