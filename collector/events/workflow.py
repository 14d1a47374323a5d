"""The closed loop as one table: which step may follow which. Pure.

The five steps are those of the city's own workflow: accept (受理), assign (交办), handle (处置),
feed back (反馈), verify (核查). What failed its check, or comes back later, is reopened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from gateway_core.errors import GatewayError

State = Literal["open", "accepted", "assigned", "handled", "fed_back", "verified"]
Action = Literal["accept", "assign", "handle", "feedback", "verify", "reopen"]
STATES: tuple[State, ...] = get_args(State)
ACTIONS: tuple[Action, ...] = get_args(Action)
CLOSED: State = "verified"

TRANSITIONS: Mapping[tuple[State, Action], State] = {
    ("open", "accept"): "accepted",
    ("accepted", "assign"): "assigned",
    ("assigned", "assign"): "assigned",  # to somebody else
    ("assigned", "handle"): "handled",
    ("handled", "feedback"): "fed_back",
    ("fed_back", "verify"): "verified",
    ("fed_back", "reopen"): "open",  # the check failed
    ("verified", "reopen"): "open",
}
"""Everything that may happen; what is not here may not."""


class WrongStep(GatewayError):
    """An action that may not follow the state an event is in.

    Attributes:
        state: The event's state.
        allowed: What may be done instead.
    """

    def __init__(self, state: State, action: Action) -> None:
        self.state = state
        self.allowed = allowed(state)
        super().__init__(
            f"an event that is {state} cannot {action}; allowed now: {', '.join(self.allowed)}"
        )


def allowed(state: State) -> tuple[Action, ...]:
    """Return what may be done with an event in ``state``, never empty."""
    return tuple(action for from_, action in TRANSITIONS if from_ == state)


def step(state: State, action: Action) -> State:
    """Return the state after ``action``.

    Raises:
        WrongStep: The table has no such transition.
    """
    after = TRANSITIONS.get((state, action))
    if after is None:
        raise WrongStep(state, action)
    return after


def link(previous: str, entry: Mapping[str, Any]) -> str:
    """Return the digest of an audit entry, chained to the one before (empty for the first).

    Args:
        previous: Digest of the entry before.
        entry: The entry, without its digest.
    """
    held = sorted((str(key), value) for key, value in entry.items())
    text = msgspec.json.encode([previous, held])
    return hashlib.sha256(text).hexdigest()
