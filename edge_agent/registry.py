"""Which devices and feeds this edge knows.

The truth is in memory: 5,000 devices never seen before are entered in the time of 5,000 dict
insertions. What makes a device known for
good is its `Listed` record, which `edge_agent.pipeline` appends in the transaction of the device's
first reading; registry.db (`edge_agent.register`) is a copy, saved every few seconds, and `recover`
completes it from the records that it has not seen.

Invariants:

* a device that a person listed keeps the profile of its line, whatever arrives;
* devices that entered themselves are never more than ``limit``.
"""

from __future__ import annotations

import asyncio
import codecs
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from edge_agent.calm import Known
from edge_agent.listing import Listing, sound_id
from edge_agent.register import Register
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import PayloadError
from gateway_core.model import Batch, FeedHealth, Listed, Record

log = structlog.get_logger()

Unknown = Literal["register", "hold", "refuse"]
RECOVERY_STEP = 5_000
MOST_SAID = 200
_SEEN = 8
"""Place of ``last_seen`` in a device's row."""
OVERTAKEN_NS = 60 * NS
"""A device that was seen so long after now was seen by a clock that was wrong."""
_Utf8 = codecs.getincrementaldecoder("utf-8")


class Log(Protocol):
    """What the registry needs of a spool to recover from it."""

    @property
    def epoch(self) -> str:
        """The spool's epoch."""

    @property
    def head(self) -> int:
        """Sequence number of the last record."""

    async def read_after(self, seq: int, limit: int) -> Batch | None:
        """Return records after ``seq``, or None."""


@dataclass(slots=True, eq=False)
class Device:
    """One device as the edge knows it; changed in place as it speaks.

    Attributes:
        id: The ``device`` tag of its readings.
        profile: The profile that reads it.
        address: Topic or path it was listed with or first seen at.
        name: For people.
        lat: Degrees north, WGS-84.
        lon: Degrees east, WGS-84.
        listed: True when devices.csv names it, False when it registered itself by speaking.
        first_seen: Nanoseconds; 0 before it spoke.
        last_seen: Nanoseconds; 0 before it spoke.
        source: The source that it last came through; empty before it spoke.
        online: What its availability topic last said; None when nothing was said.
        heard: Topic or path that it last spoke at; empty before it spoke.
        peer: Host and port from which it last spoke over CoAP; empty for the rest.
        said: The text of that availability message, for people, as `shown` makes it.
        calm: Its last reading, as all that `edge_agent.rules` remembers of it; None for more.
        saved: ``last_seen`` as it stands in registry.db.
    """

    id: str
    profile: str
    address: str = ""
    name: str = ""
    lat: float | None = None
    lon: float | None = None
    listed: bool = False
    first_seen: int = 0
    last_seen: int = 0
    source: str = ""
    online: bool | None = None
    heard: str = ""
    peer: str = ""
    said: str = ""
    calm: Known | None = None
    saved: int = 0


class Registry:
    """Devices and feeds.

    Args:
        edge: This edge's id.
        area: Area code that announcements carry.
        register: The file behind it.
        unknown: What happens to a device that a profile matches but nobody listed.
        limit: Largest number of devices.
        clock: For the time of announcements.
    """

    def __init__(
        self,
        edge: str,
        area: str,
        register: Register,
        unknown: Unknown = "register",
        limit: int = 100_000,
        clock: Clock = wall_ns,
    ) -> None:
        self.unknown = unknown
        self.devices: dict[str, Device] = {}
        self.feeds: dict[str, FeedHealth] = {}
        self._edge = edge
        self._area = area
        self._register = register
        self._limit = limit
        self._clock = clock
        self._dirty: set[str] = set()
        self._dirty_feeds: set[str] = set()
        self._removed: set[str] = set()

    def admit(self, device: str, profile: str, source: str, address: str, received: int) -> Device:
        """Enter a device that spoke for the first time, as ``unknown`` says.

        Raises:
            PayloadError: ``bad_device_id``, ``device_held``, ``unknown_device`` or
                ``too_many_devices``: it was not entered.
        """
        if not sound_id(device):
            raise PayloadError("bad_device_id", "not 1-128 printable characters without +#*?$/")
        if self.unknown == "hold":
            raise PayloadError("device_held", f"{device} waits to be listed in devices.csv")
        if self.unknown == "refuse":
            raise PayloadError("unknown_device", f"{device} is not listed in devices.csv")
        if len(self.devices) >= self._limit:
            raise PayloadError("too_many_devices", f"{self._limit} devices are known already")
        entry = Device(device, profile, address, first_seen=received, source=source)
        self.devices[device] = entry
        self._dirty.add(device)
        self._removed.discard(device)
        return entry

    def listed(self, device: Device, time: int) -> Listed:
        """Return the record that announces a device, or what changed about it."""
        return Listed(
            self._edge,
            "device",
            device.id,
            time,
            device.name,
            device.profile,
            self._area,
            device.lat,
            device.lon,
            device.online,
        )

    def set_online(self, device: Device, said: str, *, online: bool) -> bool:
        """Note what an availability message said, and in which words; True when it is news."""
        if device.said != said:
            device.said = said
            self._dirty.add(device.id)
        if device.online is online:
            return False
        device.online = online
        self._dirty.add(device.id)
        return True

    def enlist(self, listings: Iterable[Listing]) -> list[Listed]:
        """Take over devices.csv as it is now.

        Returns:
            An announcement for each device that is new or changed.
        """
        time = self._clock()
        news = []
        named = set()
        for line in listings:
            named.add(line.id)
            entry = self.devices.get(line.id)
            if entry is None:
                entry = self.devices[line.id] = Device(line.id, "")
            wanted = (line.profile, line.name, line.lat, line.lon, True)
            if (entry.profile, entry.name, entry.lat, entry.lon, entry.listed) != wanted:
                entry.profile, entry.name, entry.lat, entry.lon, entry.listed = wanted
                news.append(self.listed(entry, time))
                self._dirty.add(line.id)
            if line.address != entry.address and line.address:
                entry.address = line.address
                self._dirty.add(line.id)
        for device in [d for d in self.devices.values() if d.listed and d.id not in named]:
            del self.devices[device.id]
            self._removed.add(device.id)
        return news

    def observe(self, records: Iterable[Record]) -> None:
        """Take note of the feeds' verdicts among records that were appended elsewhere."""
        for record in records:
            if isinstance(record, FeedHealth):
                self.feeds[record.feed] = record
                self._dirty_feeds.add(record.feed)

    async def recover(self, spool: Log) -> None:
        """Load registry.db and complete it with the records that it has not seen."""
        known = await asyncio.to_thread(self._register.devices, _device)
        self.devices = {device.id: device for device in known}
        for row in await asyncio.to_thread(self._register.feeds):
            self.feeds[row["id"]] = self._feed(row)
        epoch, seq = await asyncio.to_thread(self._register.mark)
        if epoch != spool.epoch:
            seq = 0
        while (batch := await spool.read_after(seq, RECOVERY_STEP)) is not None:
            for record in batch.records:
                if isinstance(record, Listed) and record.kind == "device":
                    self._relive(record)
            self.observe(batch.records)
            seq = batch.last
        log.info("registry_recovered", devices=len(self.devices), feeds=len(self.feeds))

    async def save(self, mark: tuple[str, int]) -> None:
        """Save what changed to registry.db.

        Args:
            mark: The spool's epoch and head, taken before the call.

        Raises:
            Unavailable: The file cannot be written; the next call tries again.
        """
        dirty, feeds, removed = self._dirty, self._dirty_feeds, self._removed
        known = self.devices.values()
        chosen = [each for each in known if each.saved != each.last_seen or each.id in dirty]
        seen_at: list[int] = []
        feed_rows = [_feed_row(self.feeds[feed]) for feed in feeds]
        self._dirty, self._dirty_feeds, self._removed = set(), set(), set()
        try:
            await asyncio.to_thread(
                self._register.save, _rows(chosen, seen_at), feed_rows, removed, mark
            )
        except BaseException:
            self._dirty |= dirty
            self._dirty_feeds |= feeds
            self._removed |= removed - self.devices.keys()
            raise
        for device, time in zip(chosen, seen_at, strict=True):
            device.saved = time

    def _relive(self, record: Listed) -> None:
        entry = self.devices.get(record.id)
        if entry is None:
            entry = Device(record.id, record.profile, first_seen=record.time)
            self.devices[record.id] = entry
        if not entry.listed:
            entry.profile = record.profile
        if entry.online is not record.online:
            entry.online, entry.said = record.online, ""  # its words were not saved
        self._dirty.add(record.id)

    def _feed(self, row: Mapping[str, Any]) -> FeedHealth:
        faults = tuple(filter(None, row["faults"].split(" ")))
        return FeedHealth(self._edge, row["id"], row["judged"], row["state"], faults)


def shown(payload: bytes) -> str:
    """Return a message as text for people; empty where it is no text.

    Control characters become blanks, and after ``MOST_SAID`` characters it ends.
    """
    try:
        text = _Utf8().decode(payload[: 4 * MOST_SAID])  # the last character may be cut through
    except UnicodeDecodeError:
        return ""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(clean.split())[:MOST_SAID]


def _device(row: Mapping[str, Any]) -> Device:
    address, heard = row["address"] or "", row["heard"] or ""
    online = None if row["online"] is None else bool(row["online"])
    return Device(
        row["id"],
        sys.intern(row["profile"]),
        address,
        row["name"] or "",
        row["lat"],
        row["lon"],
        row["origin"] == "listed",
        row["first_seen"] or 0,
        row["last_seen"] or 0,
        sys.intern(row["source"] or ""),
        online,
        address if heard == address else heard,
        row["peer"] or "",
        row["said"] or "",
        saved=row["last_seen"] or 0,
    )


def _rows(devices: Iterable[Device], seen_at: list[int]) -> Iterator[tuple[Any, ...]]:
    """Yield the row of each device, made when it is written, and not all at once.

    A thread may ask while devices speak on: who does is saved again.

    Args:
        devices: Whose.
        seen_at: Takes the ``last_seen`` of each row.
    """
    for device in devices:
        row = _row(device)
        seen_at.append(row[_SEEN])
        yield row


def _row(device: Device) -> tuple[Any, ...]:
    """Return the columns of a device; see `Register.save`."""
    return (
        device.id,
        device.profile,
        device.address,
        device.name,
        device.lat,
        device.lon,
        "listed" if device.listed else "seen",
        device.first_seen,
        device.last_seen,
        device.online,
        device.source,
        device.heard,
        device.peer,
        device.said,
    )


def _feed_row(feed: FeedHealth) -> dict[str, Any]:
    faults = " ".join(feed.faults)
    return {"id": feed.feed, "state": feed.state, "judged": feed.time, "faults": faults}
