"""Alarm rules: hysteresis, duration, latch and rate of change, on a device's last known values.

Pure: what is remembered comes in and goes out, the caller keeps it (`AlarmMemory.encode`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from device_profiles.conditions import Condition
from gateway_core.clock import NS
from gateway_core.errors import PayloadError
from gateway_core.model import Severity, Value

if TYPE_CHECKING:
    from device_profiles.profile import Profile

RATE = "rate_"
"""``rate_<field>`` in a condition is the field's change a second, from its last two readings."""

Change = tuple[str, Literal["raised", "cleared"]]


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """One rule of a profile.

    Attributes:
        name: Its code.
        severity: As declared.
        raise_: When it begins to hold.
        clear: When it ceases; None: when ``raise_`` no longer holds.
        hold_ns: How long ``raise_`` must hold without a break before it counts.
        latch: Whether a person must release it.
        inputs: Fields whose arrival makes the rule be looked at.
        rates: Fields of which it needs the rate of change.
        text: Language to text.
        event: The closed-loop event as declared; empty for none.
        verify: When the event's cause is gone, or None.
    """

    name: str
    severity: Severity
    raise_: Condition
    clear: Condition | None
    hold_ns: int
    latch: bool
    inputs: frozenset[str]
    rates: frozenset[str]
    text: Mapping[str, str]
    event: Mapping[str, Any]
    verify: Condition | None


class _State(msgspec.Struct, array_like=True, gc=False):
    """One rule's state: raised or not, since when ``raise`` holds, and whether it was released."""

    raised: bool = False
    since: int | None = None
    since_received: int = 0
    released: bool = False


class AlarmMemory(msgspec.Struct, array_like=True):
    """What is remembered of one device.

    Attributes:
        values: Field to last known value; ``rate_<field>`` to last known rate.
        times: Field to the time of that value, in nanoseconds.
        states: Rule to state; a rule in its first state is left out.
    """

    values: dict[str, Value] = {}
    times: dict[str, int] = {}
    states: dict[str, _State] = {}

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        return _encode(self)

    @classmethod
    def decode(cls, kept: bytes) -> AlarmMemory:
        """Return the memory that was kept.

        Raises:
            PayloadError: ``bad_alarm_memory``.
        """
        try:
            return _decode(kept)
        except msgspec.MsgspecError as exc:
            raise PayloadError("bad_alarm_memory", str(exc)) from exc

    def move(self, shown: Callable[[int], int]) -> None:
        """Follow a clock that was set, so that what must hold for a while is not cut short by it.

        Args:
            shown: From an instant of the clock to what it is called now.
        """
        for state in self.states.values():
            if state.since is not None and abs(state.since - state.since_received) < NS:
                state.since = shown(state.since)  # the receipt's, not a time of the device's own
            state.since_received = shown(state.since_received)

    @property
    def raised(self) -> list[str]:
        """The rules that hold now."""
        return [name for name, state in self.states.items() if state.raised]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AlarmMemory).decode


class AlarmRules:
    """The rules of one profile.

    Args:
        profile: Whose rules.
    """

    def __init__(self, profile: Profile) -> None:
        self._rules: Sequence[AlarmRule] = tuple(profile.alarms.values())
        self._inputs = frozenset[str]().union(*(rule.inputs for rule in self._rules))
        self._rates = frozenset[str]().union(*(rule.rates for rule in self._rules))
        self._held = {rule.name: rule for rule in self._rules if rule.hold_ns}

    def concerns(self, fields: Mapping[str, Value]) -> bool:
        """Return whether any rule looks at any of these fields; if not, no step is needed."""
        return not self._inputs.isdisjoint(fields)

    def step(
        self,
        memory: AlarmMemory | None,
        fields: Mapping[str, Value],
        time_ns: int,
        received: int | None = None,
    ) -> tuple[AlarmMemory, list[Change]]:
        """Take in one reading.

        Args:
            memory: What the last step returned, None at first; it is changed and returned.
            fields: The reading's fields.
            time_ns: The reading's time. A field older than what is known changes nothing.
            received: When it came in, for `tick`; left out: ``time_ns``.

        Returns:
            The memory, and the rules that began or ceased to hold.
        """
        memory = memory or AlarmMemory({}, {}, {})
        now = time_ns if received is None else received
        arrived = self._learn(memory, fields, time_ns, now)
        changes: list[Change] = []
        if not arrived:
            return memory, changes
        for rule in self._rules:
            if rule.inputs.isdisjoint(arrived):
                continue
            change = _look(rule, memory, time_ns, now)
            if change is not None:
                changes.append((rule.name, change))
        return memory, changes

    def tick(self, memory: AlarmMemory, now: int) -> list[Change]:
        """Raise the rules whose condition has held for long enough by the clock alone.

        Args:
            memory: Of one device; it is changed.
            now: The edge's clock, in nanoseconds.
        """
        changes: list[Change] = []
        for name, state in memory.states.items():
            rule = self._held.get(name)
            if rule is None or state.raised or state.since is None:
                continue
            if now - state.since_received >= rule.hold_ns:
                state.raised, state.since = True, None
                changes.append((name, "raised"))
        return changes

    def due(self, memory: AlarmMemory) -> int | None:
        """Return when `tick` has something to do for this device, in nanoseconds, or None."""
        waiting = (
            state.since_received + self._held[name].hold_ns
            for name, state in memory.states.items()
            if name in self._held and not state.raised and state.since is not None
        )
        return min(waiting, default=None)

    def release(self, memory: AlarmMemory, rule: str) -> list[Change]:
        """Release a latched rule: it clears now if its cause is gone, else as soon as it is."""
        found = next((one for one in self._rules if one.name == rule), None)
        state = memory.states.get(rule)
        if found is None or state is None or not state.raised:
            return []
        state.released = True
        change = _look(found, memory, 0, 0)
        return [] if change is None else [(rule, change)]

    def _learn(
        self, memory: AlarmMemory, fields: Mapping[str, Value], time_ns: int, now: int
    ) -> set[str]:
        """Take over the fields that are news; return their names."""
        arrived = set()
        for name in self._inputs.intersection(fields):
            known = memory.times.get(name)
            if known is not None and time_ns < known and not (now and known > now):
                continue  # late; a known time ahead of the clock was wrong and does not count
            value = fields[name]
            if name in self._rates and known is not None and time_ns > known:
                change = float(value) - float(memory.values[name])
                memory.values[RATE + name] = change * NS / (time_ns - known)
            memory.values[name] = value
            memory.times[name] = time_ns
            arrived.add(name)
        return arrived


def _look(
    rule: AlarmRule, memory: AlarmMemory, time_ns: int, now: int
) -> Literal["raised", "cleared"] | None:
    state = memory.states.get(rule.name)
    if state is not None and state.raised:
        return _end(rule, memory, state)
    holds = rule.raise_(memory.values)
    if holds is not True:
        if holds is False and state is not None:
            state.since = None
        return None
    if state is None:
        state = memory.states[rule.name] = _State()
    if state.since is None:
        state.since, state.since_received = time_ns, now
    if time_ns - state.since < rule.hold_ns:
        return None
    state.raised, state.since = True, None
    return "raised"


def _end(rule: AlarmRule, memory: AlarmMemory, state: _State) -> Literal["cleared"] | None:
    if rule.clear is not None:
        over = rule.clear(memory.values) is True
    else:
        over = rule.raise_(memory.values) is False
    if not over or (rule.latch and not state.released):
        return None
    del memory.states[rule.name]
    return "cleared"
