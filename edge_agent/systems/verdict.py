"""The verdict on one system: two of the last three checks decide, so that one lost packet does not.

Pure: the caller gives the time and the outcomes.
"""

from __future__ import annotations

from collections import deque

from edge_agent.systems.probe import Outcome
from gateway_core.clock import NS
from gateway_core.model import SystemHealth, SystemState

WINDOW = 3
ENOUGH = 2
HOUR = 3600 * NS
_STATES: dict[str, SystemState] = {
    "good": "up",
    "wrong": "degraded",
    "silent": "down",
    "blind": "unknown",
}


class Verdict:
    """What is known about one system.

    Args:
        edge: The edge that judges.
        system: The system's id.
        now: Nanoseconds since 1970.
    """

    def __init__(self, edge: str, system: str, now: int) -> None:
        self.state: SystemState = "unknown"
        self.faults: tuple[str, ...] = ()
        self.last: Outcome | None = None
        self._edge = edge
        self._system = system
        self._outcomes: deque[str] = deque(maxlen=WINDOW)
        self._checks = 0
        self._failures = 0
        self._up_ns = 0
        self._checked = now
        self._recorded = now
        self._told = False

    def step(self, outcome: Outcome, now: int) -> SystemHealth | None:
        """Take a check's outcome in.

        Args:
            outcome: Of the newest check.
            now: When it ended, nanoseconds since 1970.

        Returns:
            What is to be recorded: a change of state, or the hourly roll-up; else None.
        """
        if self.state in {"up", "degraded"}:
            self._up_ns += max(0, now - self._checked)
        self._checked = now
        self.last = outcome
        self._checks += 1
        self._failures += outcome.verdict != "good"
        self._outcomes.append(outcome.verdict)
        state = self._decided(outcome)
        changed = state != self.state or not self._told
        hourly = now - self._recorded >= HOUR
        if changed or state != "up":
            self.faults = (outcome.fault,) if outcome.fault else ()
        self.state = state
        if not changed and not hourly:
            return None
        return self._record(outcome, now, hourly=not changed)

    def _decided(self, outcome: Outcome) -> SystemState:
        newest = _STATES[outcome.verdict]
        if not self._told and newest == "up":
            return newest  # a first good answer is an answer; a first silence is not yet a verdict
        agreeing = sum(_STATES[each] == newest for each in self._outcomes)
        return newest if agreeing >= ENOUGH else self.state

    def _record(self, outcome: Outcome, now: int, *, hourly: bool) -> SystemHealth:
        record = SystemHealth(
            self._edge,
            self._system,
            now,
            self.state,
            self.faults if self.state != "up" else (),
            self._checks,
            self._failures,
            outcome.rtt_ms,
            self._up_ns / NS,
            hourly,
        )
        self._checks = self._failures = self._up_ns = 0
        self._recorded = now
        self._told = True
        return record
