"""Alarms: the rules of the profiles run on every reading, and the silence of devices noticed.

No I/O: `step` and `tick` add what is to be stored to a draft, which the caller appends in one
transaction with the readings. Memory is stored (spool state ``alarm/<device>``) only when a rule
changes, so that a restart neither forgets a raised alarm nor raises it twice.

A device is silent when nothing came from it for its profile's ``offline_after`` **while its source
was connected**: our own outage is not its silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import structlog

from device_profiles.alarms import AlarmMemory, AlarmRules
from device_profiles.profile import Profile
from edge_agent.calm import Calm, Known
from edge_agent.clock.step import Step
from edge_agent.draft import Draft
from edge_agent.registry import Device, Registry
from gateway_core.clock import NS
from gateway_core.errors import PayloadError
from gateway_core.model import Alarm, Reading, Record, Severity, Value
from gateway_core.time_marks import mark_of

log = structlog.get_logger()

SILENCE = "silence"
ALARM_KEY = "alarm/"
SILENCE_KEY = "silence/"
SILENCE_EVERY_NS = 5 * NS
AlarmState = Literal["raised", "cleared"]
_NONE = (None, None)
Since = Callable[[str], int | None]
"""Since when (nanoseconds) a source is connected; None while it is not."""


class Rules:
    """The alarms of one edge.

    Args:
        edge: This edge's id.
        registry: The devices, for their silence.
        profiles: The loaded profiles by id.
        since: Of the sources.
    """

    def __init__(
        self, edge: str, registry: Registry, profiles: Mapping[str, Profile], since: Since
    ) -> None:
        self.silent: set[str] = set()
        self._edge = edge
        self._registry = registry
        self._since = since
        self._memory: dict[str, AlarmMemory] = {}
        self._due: dict[str, int] = {}
        self._looked = 0
        self._engines: dict[str, tuple[AlarmRules, Calm | None]] = {}
        self._profiles: Mapping[str, Profile] = {}
        self.use(profiles)

    def use(self, profiles: Mapping[str, Profile]) -> None:
        """Take other profiles from now on; memory of rules that remain is kept."""
        for device in self._registry.devices.values():
            if device.calm is not None:
                self._remember(device, device.calm)
        self._profiles = profiles
        self._engines = {
            name: (AlarmRules(each), Calm.of(each))
            for name, each in profiles.items()
            if each.alarms
        }

    def recall(self, state: Mapping[str, bytes]) -> None:
        """Take up the memory that the spool kept: its keys ``alarm/`` and ``silence/``."""
        for key, value in state.items():
            if key.startswith(SILENCE_KEY):
                self.silent.add(key.removeprefix(SILENCE_KEY))
            elif key.startswith(ALARM_KEY):
                self._recall(key.removeprefix(ALARM_KEY), value)

    def _recall(self, device: str, kept: bytes) -> None:
        try:
            self._memory[device] = AlarmMemory.decode(kept)
        except PayloadError as exc:
            log.warning("alarm_memory_unread", device=device, why=str(exc))

    def step(
        self,
        device: Device,
        profile: str,
        fields: Mapping[str, Value],
        time: int,
        draft: Draft,
    ) -> None:
        """Run the rules on one reading.

        Args:
            device: Whose reading.
            profile: The profile that read it.
            fields: Its values.
            time: Its time, nanoseconds since 1970.
            draft: Takes alarms and changed memory.
        """
        both = self._engines.get(profile)
        if both is None or profile != device.profile:
            return
        name = device.id
        engine, calm = both
        if calm is not None and name not in self._memory:
            known = device.calm
            after = calm.after(time, fields, known) if known is None or known[0] <= time else None
            if after is not None:
                device.calm = after
                return
        if not engine.concerns(fields):
            return
        if device.calm is not None:
            self._remember(device, device.calm)
        memory, events = engine.step(self._memory.get(name), fields, time, device.last_seen)
        self._memory[name] = memory
        if events:
            self._tell(device, events, time, draft)
        if memory.states or name in self._due:
            self._wait(name, engine.due(memory))
        if calm is not None and name not in self._due and calm.forget(memory, time, fields):
            del self._memory[name]
            device.calm = calm.known(time, fields)

    def _remember(self, device: Device, known: Known) -> None:
        """Give a device that was calm a memory of its own."""
        device.calm = None
        _, calm = self._engines.get(device.profile, _NONE)
        if calm is not None:
            self._memory[device.id] = calm.remember(known)

    def spoke(self, device: Device, time: int, draft: Draft) -> None:
        """End a device's silence."""
        self.silent.discard(device.id)
        draft.kept[SILENCE_KEY + device.id] = None
        draft.news.append(self._alarm(device, SILENCE, "cleared", time))

    def clock_stepped(self, step: Step) -> None:
        """Follow a clock that was set: nobody was silent for longer, and nothing lasted longer."""
        self._looked = 0
        for device in self._devices():
            device.last_seen = step.shown(device.last_seen)
        for name, memory in self._memory.items():
            memory.move(step.shown)
            if name in self._due:
                engine, _ = self._engines.get(self._registry.devices[name].profile, _NONE)
                self._wait(name, engine.due(memory) if engine is not None else None)

    def put_right(self, records: Iterable[Record]) -> None:
        """Take over when devices spoke, of readings received by a clock that was set meanwhile."""
        for record in records:
            if isinstance(record, Reading) and mark_of(record.flags):
                device = self._registry.devices.get(record.device)
                if device is not None:
                    device.last_seen = record.received

    def tick(self, now: int, draft: Draft) -> None:
        """Notice what did not happen.

        Args:
            now: Nanoseconds since 1970.
            draft: Takes alarms and changed memory.
        """
        for name in [name for name, due in self._due.items() if due <= now]:
            device, memory = self._registry.devices.get(name), self._memory.get(name)
            engine, _ = self._engines.get(device.profile, _NONE) if device is not None else _NONE
            if device is None or engine is None or memory is None:
                del self._due[name]
                continue
            events = engine.tick(memory, now)
            if events:
                self._tell(device, events, now, draft)
            self._wait(name, engine.due(memory))
        if now - self._looked >= SILENCE_EVERY_NS:
            self._looked = now
            self._find_silent(now, draft)

    def _wait(self, name: str, due: int | None) -> None:
        if due is None:
            self._due.pop(name, None)
        else:
            self._due[name] = due

    def _find_silent(self, now: int, draft: Draft) -> None:
        limits = {name: each.availability.offline_after_ns for name, each in self._profiles.items()}
        since = {name: self._since(name) for name in {d.source for d in self._devices()}}
        for device in self._devices():
            limit = limits.get(device.profile)
            connected = since[device.source]
            if limit is None or connected is None or device.id in self.silent:
                continue
            if device.last_seen and now - max(device.last_seen, connected) > limit:
                self.silent.add(device.id)
                draft.kept[SILENCE_KEY + device.id] = b"1"
                draft.news.append(self._alarm(device, SILENCE, "raised", now))

    def _devices(self) -> Iterable[Device]:
        return self._registry.devices.values()

    def _tell(
        self,
        device: Device,
        events: Iterable[tuple[str, AlarmState]],
        time: int,
        draft: Draft,
    ) -> None:
        for rule, state in events:
            draft.news.append(self._alarm(device, rule, state, time))
        draft.kept[ALARM_KEY + device.id] = self._memory[device.id].encode()

    def _alarm(self, device: Device, rule: str, state: AlarmState, time: int) -> Alarm:
        profile = self._profiles.get(device.profile)
        declared = profile.alarms.get(rule) if profile is not None else None
        severity: Severity = declared.severity if declared is not None else "major"
        text = dict(declared.text) if declared is not None and declared.text else {}
        return Alarm(self._edge, device.id, device.profile, rule, severity, state, time, text)
