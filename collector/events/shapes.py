"""What people ask of the book of events."""

from __future__ import annotations

from dataclasses import dataclass

from collector.events.workflow import Action, State
from gateway_core.model import Severity


@dataclass(frozen=True, slots=True)
class Move:
    """One step that a person takes.

    Attributes:
        action: What is done.
        actor: Who does it.
        comment: Why or what, for people.
        assignee: To whom, for ``assign``; empty otherwise.
        version: The version that the actor saw; None: whatever it is now.
    """

    action: Action
    actor: str
    comment: str = ""
    assignee: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """An event that a person opens; the arguments are those of an alarm."""

    edge: str
    device: str
    rule: str
    severity: Severity
    text: dict[str, str]
    actor: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted; None means any.

    Args:
        state: Exactly this state.
        closed: True: verified ones only; False: only those that are not.
        edge: Exactly this edge.
        device: Exactly this device, feed or system.
        severity: Exactly this severity.
        assignee: Exactly this person or section.
        limit: Rows a page, 1 to 1,000.
        cursor: ``next`` of the page before, or None for the first page.
    """

    state: State | None = None
    closed: bool | None = None
    edge: str | None = None
    device: str | None = None
    severity: Severity | None = None
    assignee: str | None = None
    limit: int = 100
    cursor: str | None = None
