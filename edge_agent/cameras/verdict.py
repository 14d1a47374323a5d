"""How a check can end, and what each ending says about the feed (docs/reference/verdicts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from gateway_core.model import FeedState

Outcome = Literal[
    "ok",
    "refused",
    "unreachable",
    "connect_timeout",
    "timeout",
    "reset",
    "no_route",
    "own_limit",
    "name_unresolved",
    "network_down",
    "parent_lost",
    "not_rtsp",
    "not_found",
    "no_video",
    "bad_description",
    "too_large",
    "redirected",
    "server_error",
    "auth_missing",
    "password_unreadable",
    "auth_failed",
    "auth_unsupported",
    "forbidden",
    "login_stopped",
    "login_paused",
    "limit",
]
"""How an RTSP check ended."""

OUTCOME_STATES: Mapping[Outcome, FeedState] = MappingProxyType(
    {
        "ok": "online",
        # The device does not answer.
        "refused": "offline",
        "unreachable": "offline",
        "connect_timeout": "offline",
        "timeout": "offline",
        "reset": "offline",
        # We could not ask: nothing is known about the device.
        "no_route": "unknown",
        "own_limit": "unknown",
        "name_unresolved": "unknown",
        "network_down": "unknown",
        "parent_lost": "unknown",
        # The device answers, but there is no picture to be had at this address.
        "not_rtsp": "no_stream",
        "not_found": "no_stream",
        "no_video": "no_stream",
        "bad_description": "no_stream",
        "too_large": "no_stream",
        "redirected": "no_stream",
        "server_error": "no_stream",
        # The device does not let us in.
        "auth_missing": "auth_failed",
        "password_unreadable": "auth_failed",
        "auth_failed": "auth_failed",
        "auth_unsupported": "auth_failed",
        "forbidden": "auth_failed",
        "login_stopped": "auth_failed",
        # It did let us in before: its limit or its lock, not a wrong password.
        "login_paused": "locked_out",
        "limit": "locked_out",
    }
)

UNREACHED: frozenset[Outcome] = frozenset({"unreachable", "connect_timeout", "no_route"})
"""Endings after which not even the way to the host is known to work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check, or several, say about a feed."""

    state: FeedState
    faults: tuple[str, ...] = ()


UNKNOWN = Finding("unknown", ("not_checked",))
"""What is said of a feed before its first check."""


@cache  # each feed remembers several
def stream_finding(outcome: Outcome) -> Finding:
    """Return the state that an RTSP check argues for, with ``rtsp_<outcome>`` as its fault."""
    state = OUTCOME_STATES[outcome]
    return Finding(state, () if outcome == "ok" else (f"rtsp_{outcome}",))
