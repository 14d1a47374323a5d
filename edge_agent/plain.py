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
            if arrival.via == "mqtt":
                way = by_topic.get(arrival.address)
            else:
                way = by_path.get((arrival.address, arrival.content_format))
            device = devices.get(way.swift) if way is not None else None
            payload = arrival.payload
            if (
                way is None
                or device is None
                or len(payload) > most
                or arrival.cut
                or arrival.only is not None
                or arrival.content_format not in FAST_FORMATS
            ):
                break
            route, came = way.routes[0], arrival.received
            received = newest + 1 if 0 <= newest - came < SAME_RUSH_NS else came
            profile = route.profile
            name, who = device.id, profile.id
            try:
                said = route.swift(payload, received)
                if said is None:
                    break
                fields, time = said
                if came > device.last_seen:
                    device.last_seen, device.source, device.peer = (
                        came,
                        arrival.source,
                        arrival.peer,
                    )
                    # an equal text is not kept twice
                    device.heard = (
                        device.heard if device.heard == arrival.address else arrival.address
                    )
                if silent and name in silent:
                    rules.spoke(device, came, draft)
                if profile.alarms:
                    rules.step(device, who, fields, time, draft)
            except Exception:  # noqa: BLE001  # a bug: the long way tells of it
                log.debug("not_read_plainly", address=arrival.address)
                break
            newest = received
            tags = way.tags
            reading = Reading(edge, name, who, profile.measurement, time, received, fields, tags)
            record(reading if unbelieved == RECEIPTS.replaced else replaced(reading))
            unbelieved = RECEIPTS.replaced
            read_by(who)
            stamp(received)
        else:
            at = len(arrivals)
        stamps.live = newest
        found.verdicts.extend([None] * (at - start))
        return at
