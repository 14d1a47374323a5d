"""Fold a batch of records into what each registry row becomes. Pure: no database, no clock.

Replays and late data change nothing that is newer: every value carries the time it is true for,
and counts carry the sequence number of the last record they include.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collector.registry.bundle import Bundle, Item
from collector.registry.condition import condition
from collector.registry.judge import shown_name
from collector.registry.rows import Key, Row
from collector.registry.tally import Tally
from gateway_core.model import (
    Alarm,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    SystemHealth,
)

LATEST = 256
"""Most latest values of one device, over all its measurements."""
SHOWN_CHARS = 256
"""Most characters of a latest value."""

TABLE_OF = {"device": "devices", "feed": "feeds", "system": "systems"}


def touched(items: Iterable[Item]) -> dict[str, set[Key]]:
    """Return table name -> keys of the rows that ``items`` speak about."""
    found: dict[str, set[Key]] = {
        name: set() for name in ("devices", "feeds", "systems", "edges", "alarms")
    }
    devices, edges = found["devices"], found["edges"]
    for item in items:
        if isinstance(item, Bundle):
            devices.add((item.edge, item.device))
            edges.add((item.edge,))
            continue
        record = item[1]
        edges.add((record.edge,))
        match record:
            case FeedHealth():
                found["feeds"].add((record.edge, record.feed))
            case SystemHealth():
                found["systems"].add((record.edge, record.system))
            case Listed():
                found[TABLE_OF[record.kind]].add((record.edge, record.id))
            case Alarm():
                found["alarms"].add((record.edge, record.device, record.rule))
                if record.rule == "silence":
                    devices.add((record.edge, record.device))
            case Reading() | Loss() | ProfileUse():
                pass
    return found


@dataclass(slots=True)
class Changes:
    """The rows as they stand, changed in place by `take`.

    Attributes:
        rows: Table name -> key -> row; holds every row that the records touch and that exists.
        tally: What they add to the figures on feeds.
        uses: Which versions edges began to use.
    """

    rows: dict[str, dict[Key, Row]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    uses: list[ProfileUse] = field(default_factory=list)

    def take(self, items: Sequence[Item]) -> None:
        """Fold each record, by its sequence number, into its row, made where there is none."""
        marks: dict[str, int] = {}
        for item in items:
            if isinstance(item, Bundle):
                times = [each.time for each in item.readings]
                self._count(item.edge, item.seqs, times, marks)
                self._readings(item, times)
                continue
            seq, record = item
            edge = self._count(record.edge, [seq], [record.time], marks)
            match record:
                case FeedHealth():
                    self._feed(record)
                case SystemHealth():
                    self._health("systems", record.system, record, BLANK_HEALTH)
                case Listed():
                    self._listed(record)
                case Alarm():
                    self._alarm(record)
                case ProfileUse():
                    self.uses.append(record)
                case Loss():
                    if edge is not None:
                        edge["lost"] += record.last - record.first + 1
                case Reading():
                    pass

    def _row(self, table: str, key: Key, blank: Mapping[str, Any]) -> Row:
        rows = self.rows.setdefault(table, {})
        row = rows.get(key)
        if row is None:
            names = {"edges": ("id",), "alarms": ("edge", "device", "rule")}
            row = dict(zip(names.get(table, ("edge", "id")), key, strict=True)) | dict(blank)
            rows[key] = row
        return row

    def _count(
        self, edge: str, seqs: list[int], times: list[int], marks: dict[str, int]
    ) -> Row | None:
        """Count records with their edge, once; return its row unless all were counted before.

        Args:
            edge: Whose they are.
            seqs: Their numbers.
            times: Their instants, as many.
            marks: The last number that was counted before, by edge; filled in here.
        """
        row = self._row("edges", (edge,), _BLANK_EDGE)
        mark = marks.setdefault(edge, row["seq"])
        if seqs[0] <= mark:
            times = [time for seq, time in zip(seqs, times, strict=True) if seq > mark]
            if not times:
                return None
        row["seq"] = max(row["seq"], seqs[-1])
        row["records"] += len(times)
        row["first_seen"] = row["first_seen"] or times[0]
        newest = max(times)
        row["last_record"] = max(row["last_record"] or 0, newest)
        return row

    def _readings(self, bundle: Bundle, times: list[int]) -> None:
        key, readings, seqs = (bundle.edge, bundle.device), bundle.readings, bundle.seqs
        row = self.rows.setdefault("devices", {}).get(key)
        if row is None:
            row = self._row("devices", key, blank_device())
        row["profile"] = row["profile"] or next((r.profile for r in readings if r.profile), "")
        received = [each.received for each in readings]
        earliest, newest = min(received), max(received)
        row["first_seen"] = min(row["first_seen"] or earliest, earliest)
        for reading in _newest(readings, times):
            _show(row["latest"], reading)
        if seqs[-1] > row["seq"]:
            new = seqs[0] > row["seq"]  # else a part of them was counted before
            row["readings"] += len(seqs) if new else sum(seq > row["seq"] for seq in seqs)
            row["seq"] = seqs[-1]
        seen, since = row["last_seen"] or 0, row["since"] or 0
        if newest >= seen:
            row["last_seen"] = newest
            came = next((at for at in received if at >= seen and at > since), None)
            if came is not None:
                row["silent"] = False
                _settle_device(row, came)

    def _feed(self, health: FeedHealth) -> None:
        row = self._health("feeds", health.feed, health, BLANK_FEED)
        row["first_seen"] = row["first_seen"] or health.time
        if row["judged"] == health.time:  # not overtaken by a newer one
            self.tally.settle(row, health.time)
            row["condition"] = condition(health.state, health.faults)

    def _health(self, table: str, name: str, health: FeedHealth | SystemHealth, blank: Row) -> Row:
        row = self._row(table, (health.edge, name), blank)
        if health.time < (row["judged"] or 0):
            return row
        if row["state"] != health.state:
            row |= {"state": health.state, "since": health.time}
        row |= {
            "judged": health.time,
            "faults": list(health.faults),
            "rtt_ms": health.rtt_ms,
            "checks": health.checks,
            "failures": health.failures,
        }
        return row

    def _listed(self, listed: Listed) -> None:
        blank = blank_device() if listed.kind == "device" else _BLANKS[listed.kind]
        row = self._row(TABLE_OF[listed.kind], (listed.edge, listed.id), blank)
        said = {"name": shown_name(listed.name), "area": listed.area}
        if listed.kind == "feed":
            said |= {"group": listed.group, "gb_code": listed.gb_code}
            row["first_seen"] = row["first_seen"] or listed.time
            row["counted"] = row["counted"] or listed.time
        for name, value in said.items():
            # What the centre's plan says of a feed stands; an edge fills in what it leaves open.
            if value and not (row[name] and row.get("planned")):
                row[name] = value
        if listed.lat is not None:
            row |= {"lat": listed.lat, "lon": listed.lon}
        if listed.kind != "device":
            return
        row["profile"] = listed.profile or row["profile"]
        if listed.online is not None and listed.time >= (row["since"] or 0):
            row["online"] = listed.online
            _settle_device(row, listed.time)

    def _alarm(self, alarm: Alarm) -> None:
        key = (alarm.edge, alarm.device, alarm.rule)
        row = self._row("alarms", key, {"time": 0})
        if alarm.time < row["time"]:
            return
        row |= {
            "profile": alarm.profile,
            "severity": alarm.severity,
            "state": alarm.state,
            "time": alarm.time,
            "text": alarm.text,
            "mark": alarm.mark,
        }
        if alarm.rule == "silence" and alarm.profile not in {"camera", "system"}:
            device = self._row("devices", key[:2], blank_device())
            if alarm.time >= (device["since"] or 0):
                device["silent"] = alarm.state == "raised"
                _settle_device(device, alarm.time)


_BLANK_EDGE: Row = {"first_seen": None, "last_record": None, "records": 0, "lost": 0, "seq": 0}
_BLANK_NAMED: Row = {
    "name": "",
    "area": "",
    "lat": None,
    "lon": None,
    "state": "unknown",
    "since": None,
}
BLANK_HEALTH: Row = _BLANK_NAMED | {
    "faults": [],
    "rtt_ms": None,
    "judged": None,
    "checks": 0,
    "failures": 0,
}
BLANK_FEED: Row = BLANK_HEALTH | {
    "owner": "",
    "group": "",
    "gb_code": "",
    "planned": None,
    "first_seen": None,
    "condition": "unknown",
    "counted": None,
}
_BLANKS = {"feed": BLANK_FEED, "system": BLANK_HEALTH}


def blank_device() -> Row:
    """Return the row of a device that is known by name and nothing else."""
    return _BLANK_NAMED | {
        "profile": "",
        "online": None,
        "silent": False,
        "first_seen": None,
        "last_seen": None,
        "readings": 0,
        "latest": {},
        "seq": 0,
    }


def _newest(readings: list[Reading], times: list[int]) -> list[Reading]:
    """Return those readings that decide what is shown: one, where the last says all that they do.

    That is the last one if it is of the latest time and no other has a field more.
    """
    last = readings[-1]
    if len(readings) == 1 or max(times) != times[-1]:
        return readings
    if len({each.measurement for each in readings}) > 1:
        return readings
    names = set().union(*[each.fields for each in readings])
    return [last] if len(names) == len(last.fields) else readings


def _show(shown: dict[str, dict[str, list[Any]]], reading: Reading) -> None:
    """Let a reading's values take the place of older ones."""
    latest, time = shown.setdefault(reading.measurement, {}), reading.time
    names = len(latest)
    for name, value in reading.fields.items():
        known = latest.get(name)
        if known is None or known[1] <= time:
            latest[name] = [_kept(value) if type(value) is str else value, time]
    if len(latest) != names:
        _bound(shown)


def _kept(text: str) -> str:
    """Return a text as the registry shows it; the whole of a long one is in the series."""
    return text[:SHOWN_CHARS]


def _bound(latest: dict[str, dict[str, list[Any]]]) -> None:
    """Let the values go that are oldest, where a device has more names than are kept."""
    spare = sum(map(len, latest.values())) - LATEST
    if spare <= 0:
        return
    by_age = sorted((at, m, f) for m, fields in latest.items() for f, (_, at) in fields.items())
    for _, measurement, name in by_age[:spare]:
        del latest[measurement][name]
        if not latest[measurement]:
            del latest[measurement]


def _settle_device(row: Row, time: int) -> None:
    """Set ``state`` from what is known; unknown stays unknown until something was said."""
    if row["online"] is False:
        state = "offline"
    elif row["silent"]:
        state = "silent"
    elif row["last_seen"] or row["online"]:
        state = "online"
    else:
        state = "unknown"
    if state != row["state"]:
        row |= {"state": state, "since": time}
