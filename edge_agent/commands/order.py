"""An order: one command that somebody asked for, and how far it has come. Pure."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from gateway_core.model import Value

State = Literal[
    "accepted",
    "sent",
    "acknowledged",
    "confirmed",
    "refused",
    "failed",
    "expired",
    "unconfirmed",
]
"""``accepted -> sent -> acknowledged -> confirmed``, or one of the four other ends."""

STATES: tuple[State, ...] = get_args(State)


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /command``.

    Attributes:
        device: The device's id.
        name: The command's name in its profile.
        args: Argument to value.
        words: Arguments as a person typed them; each is read as the type that the profile says.
        ttl_s: Seconds after which it is no longer sent.
        by: Who asks; there are no logins, so it is what they say.
    """

    device: str
    name: str
    args: dict[str, Value] = {}
    words: dict[str, str] = {}
    ttl_s: float = 60.0
    by: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One command on its way. Times are nanoseconds since 1970.

    Attributes:
        id: Unique on this edge; later orders have greater ids.
        device: To whom.
        profile: The profile whose command it is.
        name: The command.
        args: Arguments in their types, defaults included.
        role: Who may order it, as the profile says.
        by: Who said that they order it; may be empty.
        via: The source that it goes out through, for example ``mqtt:site``.
        address: Topic or path.
        payload: The bytes.
        method: Of a CoAP request.
        content_format: Of a CoAP request, or None.
        answer: Topic of the device's answer; empty where the profile names none.
        accepted: When it was stored.
        expires: When it is no longer sent.
        state: How far it has come.
        reason: A stable code for why it ended so (docs/reference/rejections.md); may be empty.
        detail: For people.
        changed: When it came to this state.
        sent: When it last left; None before.
        ended: Whether nothing more will happen.
    """

    id: str
    device: str
    profile: str
    name: str
    args: dict[str, Value]
    role: str
    by: str
    via: str
    address: str
    payload: bytes
    method: Literal["post", "put"] = "post"
    content_format: int | None = None
    answer: str
    accepted: int
    expires: int
    state: State
    reason: str = ""
    detail: str = ""
    changed: int = 0
    sent: int | None = None
    ended: bool = False


class Transition(msgspec.Struct, frozen=True):
    """One row of the audit: an order came to a state."""

    time: int
    state: State
    reason: str
    detail: str
