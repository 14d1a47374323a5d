"""All windows of one edge, and what must be stored before they may go on. No I/O, no clock."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
import structlog

from edge_agent.gate import Gate
from edge_agent.policy import Policy
from edge_agent.window import Taken, Tally, Window, first_tally
from gateway_core.clock import NS
from gateway_core.model import Batch, Reading, Receipt, Record
from gateway_core.stored import check, sealed

log = structlog.get_logger()

STATE = "aggregate/"
"""Prefix of everything that is stored."""

_WINDOW = STATE + "window/"
_HORIZON = STATE + "horizon/"
_SWEEP_NS = 3600 * NS
_packed = msgspec.msgpack.Encoder().encode
_unpacked = msgspec.msgpack.Decoder(Window).decode


@dataclass(frozen=True, slots=True)
class AggregateOptions:
    """When windows are told and forgotten.

    Attributes:
        grace_s: How long after its end a window waits for readings that are under way.
        late_s: How long a told window is kept, so that late readings can mend it.
        horizon_s: Readings older than this are late even for a window that was never told.
        max_windows: Most windows, and most series, kept at a time; readings that would need
            more are dropped as ``windows``.
        told_at_once: Most aggregates in one receipt.
        tick_s: How often windows are looked at when no readings come.
    """

    grace_s: float = 10.0
    late_s: float = 3600.0
    horizon_s: float = 7 * 86_400.0
    max_windows: int = 200_000
    told_at_once: int = 5000
    tick_s: float = 1.0


Key = tuple[str, int]
"""A window: its series and its start."""


class Windows:
    """The windows of one edge in memory: open ones as objects, told ones as bytes.

    Args:
        options: When windows are told and forgotten.
    """

    def __init__(self, options: AggregateOptions) -> None:
        self._options = options
        self._grace = round(options.grace_s * NS)
        self._late = round(options.late_s * NS)
        self._oldest = round(options.horizon_s * NS)
        self._open: dict[Key, Window] = {}
        self._told: dict[Key, bytes] = {}
        self._horizon: dict[str, int] = {}
        self._due: list[tuple[int, Key]] = []
        self._forget: list[tuple[int, Key]] = []
        self._series: dict[tuple[object, ...], str] = {}
        self._changed: set[Key] = set()
        self._state: dict[str, bytes | None] = {}
        self._swept = 0

    def load(self, state: Mapping[str, bytes]) -> None:
        """Take up what an earlier life had stored, but what a bad disk left of it unreadable."""
        for name, value in state.items():
            try:
                self._load(name, value)
            except ValueError as exc:  # msgspec's errors are ValueErrors
                log.error("window_unread", key=name, why=str(exc))  # noqa: TRY400 - not a bug
                self._state[name] = None

    def _load(self, name: str, value: bytes) -> None:
        if name.startswith(_HORIZON):
            self._horizon[name.removeprefix(_HORIZON)] = int(value)
            return
        series, _, start = name.removeprefix(_WINDOW).rpartition("/")
        window, key = _decode(value), (series, int(start))
        if window.due:
            self._open[key] = window
            heapq.heappush(self._due, (window.due, key))
        else:
            self._told[key] = value
            heapq.heappush(self._forget, (window.forget, key))

    def take(self, batch: Batch, policy: Policy, now: int) -> Receipt:
        """Add a batch to its windows; return what is to be stored, and told, with it."""
        dropped: dict[str, int] = {}
        gathering = policy.gathering
        for record in batch.records:
            if type(record) is not Reading or record.derived or record.profile not in gathering:
                continue
            gate = policy.gate(record.profile, record.device)
            if gate is None or not gate.windows or gate.hidden:
                continue
            if record.measurement == gate.measurement:
                refused = self._add(record, gate, now)
                if refused:
                    dropped[refused] = dropped.get(refused, 0) + 1
        receipt = self.tidy(policy, now)
        return msgspec.structs.replace(receipt, dropped=dropped) if dropped else receipt

    def tidy(self, policy: Policy, now: int) -> Receipt:
        """Tell the windows that are due and forget the old; return what is to be stored."""
        append = self._tell(policy, now)
        self._forget_old(now)
        state, self._state = self._state, {}
        for key in self._changed:
            window = self._open.get(key)
            if window is not None:
                state[_name(key)] = _encode(window)
        self._changed.clear()
        return Receipt(append=tuple(append), state=state)

    def _add(self, reading: Reading, gate: Gate, now: int) -> str:
        """Add a reading to its windows; return why some window could not take it, or nothing."""
        refused = ""
        tags, kept = reading.tags, gate.tags
        if tags and not kept.issuperset(tags):
            tags = {name: value for name, value in tags.items() if name in kept}
        for every_ns, wanted in gate.windows.items():
            present = [needs for needs in wanted if needs[0] in reading.fields]
            if not present:
                continue
            start = reading.time - reading.time % every_ns
            key = (self._series_of(reading, tags, every_ns), start)
            window = self._open.get(key) or self._reopened(key, now)
            if window is None:
                why = self._why_not(key[0], start + every_ns, now)
                if why:
                    refused = why
                    continue
                window = Window(
                    edge=reading.edge,
                    device=reading.device,
                    profile=reading.profile,
                    measurement=reading.measurement,
                    tags=tags,
                    every_ns=every_ns,
                    start=start,
                    due=max(start + every_ns, now) + self._grace,
                    tallies={},
                )
                self._open[key] = window
                heapq.heappush(self._due, (window.due, key))
            for name, samples, rises in present:
                taken = self._add_value(window, key, name, reading, samples=samples, rises=rises)
                if rises and taken == "newest":
                    self._rebase_after(window, key, name, reading, now)
            self._changed.add(key)
        return refused

    def _add_value(
        self, window: Window, key: Key, name: str, reading: Reading, *, samples: bool, rises: bool
    ) -> Taken:
        value = reading.fields[name]
        tally = window.tallies.get(name)
        if tally is not None:
            taken = tally.add(value, reading.time, sample=samples)
            if taken == "mismatched":
                log.warning("value_mismatched", device=reading.device, field=name)
            return taken
        tally = first_tally(value, reading.time, sample=samples)
        window.tallies[name] = tally
        if rises:
            self._base(tally, (key[0], window.start - window.every_ns), name)
        return "newest"

    def _rebase_after(
        self, window: Window, key: Key, name: str, reading: Reading, now: int
    ) -> None:
        """Let the window after this one count its rise from this reading."""
        after = (key[0], window.end)
        known = self._peek(after)
        if known is None or name not in known.tallies:
            return
        later = self._open.get(after) or self._reopened(after, now)
        if later is not None and later.tallies[name].rebase(reading.fields[name], reading.time):
            self._changed.add(after)

    def _base(self, tally: Tally, before: Key, name: str) -> None:
        earlier = self._peek(before)
        if earlier is not None and name in earlier.tallies:
            tally.rebase(earlier.tallies[name].last, earlier.tallies[name].last_time)

    def _peek(self, key: Key) -> Window | None:
        found = self._open.get(key)
        if found is not None:
            return found
        told = self._told.get(key)
        return None if told is None else _decode(told)

    def _reopened(self, key: Key, now: int) -> Window | None:
        """Take up again a window that was told; None if it was not."""
        told = self._told.pop(key, None)
        if told is None:
            return None
        found = _decode(told)
        found.due, found.forget = now + self._grace, 0
        self._open[key] = found
        heapq.heappush(self._due, (found.due, key))
        return found

    def _why_not(self, series: str, end: int, now: int) -> str:
        """Return why a new window may not be opened, or nothing."""
        horizon = self._horizon.get(series)
        if (horizon is not None and end <= horizon) or end < now - self._oldest:
            return "late"
        if len(self._open) + len(self._told) >= self._options.max_windows:
            if not self._told:
                return "windows"
            self._forget_oldest()
        if series not in self._horizon and len(self._horizon) >= self._options.max_windows:
            return "windows"
        return ""

    def _tell(self, policy: Policy, now: int) -> list[Record]:
        told: list[Record] = []
        while self._due and self._due[0][0] <= now and len(told) < self._options.told_at_once:
            due, key = heapq.heappop(self._due)
            window = self._open.get(key)
            if window is None or window.due != due:
                continue
            gate = policy.gate(window.profile, window.device)
            if gate is not None and not gate.hidden and gate.measurement == window.measurement:
                aggregate = window.tell(gate.grants, now)
                if aggregate is not None:
                    told.append(aggregate)
            window.due, window.forget = 0, now + self._late
            del self._open[key]
            self._told[key] = _encode(window)
            self._state[_name(key)] = self._told[key]
            heapq.heappush(self._forget, (window.forget, key))
        return told

    def _forget_old(self, now: int) -> None:
        while self._forget and self._forget[0][0] <= now:
            forget, key = heapq.heappop(self._forget)
            told = self._told.get(key)
            if told is not None and _decode(told).forget == forget:
                self._drop(key, told)
        if now - self._swept > _SWEEP_NS:
            self._swept = now
            self._drop_horizons(now - self._oldest)

    def _forget_oldest(self) -> None:
        """Forget the told window that would be forgotten next."""
        while self._forget and self._told:
            forget, key = heapq.heappop(self._forget)
            told = self._told.get(key)
            if told is not None and _decode(told).forget == forget:
                self._drop(key, told)
                return

    def _drop(self, key: Key, told: bytes) -> None:
        series, _ = key
        del self._told[key]
        self._state[_name(key)] = None
        end = _decode(told).end
        if end > self._horizon.get(series, 0):
            self._horizon[series] = end
            self._state[_HORIZON + series] = str(end).encode()

    def _drop_horizons(self, before: int) -> None:
        """Forget the horizons that `AggregateOptions.horizon_s` makes needless."""
        for series in [series for series, end in self._horizon.items() if end < before]:
            del self._horizon[series]
            self._state[_HORIZON + series] = None

    def _series_of(self, reading: Reading, tags: dict[str, str], every_ns: int) -> str:
        parts: tuple[object, ...] = (reading.profile, reading.device, every_ns)
        if tags:
            parts = (*parts, *sorted(tags.items()))
        found = self._series.get(parts)
        if found is None:
            if len(self._series) >= self._options.max_windows:
                self._series.clear()
            name = msgspec.json.encode(parts)
            found = blake2b(name, digest_size=15).hexdigest()
            self._series[parts] = found
        return found


def _encode(window: Window) -> bytes:
    return sealed(_packed(window))


def _decode(raw: bytes) -> Window:
    """Read a window.

    Raises:
        ValueError: It is not what was stored.
    """
    window = _unpacked(raw)
    check(raw, window.crc)
    window.crc = 0
    return window


def _name(key: Key) -> str:
    series, start = key
    return f"{_WINDOW}{series}/{start}"
