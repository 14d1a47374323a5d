"""What a source hands to the pipeline: bytes that came from outside, and where they came in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec


class Arrival(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One message from a device, not read yet.

    A struct rather than a dataclass because one is made for every message: it costs a third. The
    raw store writes it as an array: new attributes go to the end and have a default.

    Attributes:
        source: The source's name, for example ``mqtt:site`` or ``coap``.
        address: MQTT topic, or CoAP path without its leading slash.
        payload: The bytes as they came.
        received: When, in nanoseconds since 1970 (UTC).
        content_format: CoAP Content-Format, or None where the sender named none.
        via: Which kind of address it is.
        cut: Whether `payload` is only the beginning of something that is too large to take in; it
            is refused and kept, so that it can be found.
        only: Of a message about several devices the parts that count, where the others were taken
            in before; None for all of it.
        peer: Host and port that a CoAP message came from; empty for MQTT.
    """

    source: str
    address: str
    payload: bytes
    received: int
    content_format: int | None = None
    via: Literal["mqtt", "coap"] = "mqtt"
    cut: bool = False
    only: frozenset[int] | None = None
    peer: str = ""


Ingest = Callable[[Sequence[Arrival], Mapping[str, bytes | None]], Awaitable[Sequence[str | None]]]
"""Takes arrivals and the source's own state in, as one transaction, and returns after the commit.

Args:
    arrivals: In the order in which they came; may be empty when there is only state to keep.
    state: Keys to set (or, with None, to delete) in the transaction that stores the arrivals.

Returns:
    One entry for each arrival, in order: None where it became records, else the rejection code
    under which it was refused. A refusal is stored too, so the sender is acknowledged either way.

Raises:
    SpoolFull: Nothing was stored; the sender must not be acknowledged.
"""

Parts = tuple[Sequence[Arrival], Sequence[Sequence[Arrival]]]
"""Arrivals to ingest at once, and parts of the same batch that are not ready to be read yet."""


async def _undivided(arrivals: Sequence[Arrival]) -> Parts:
    return arrivals, ()


async def _unheeded(_arrivals: Sequence[Arrival]) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Apart:
    """What is done with messages apart from storing them.

    Attributes:
        part: Parts a batch, so that what is slow to decode holds up nothing else of it.
        heed: Stores the alarms of messages that must wait until there is room.
    """

    part: Callable[[Sequence[Arrival]], Awaitable[Parts]] = _undivided
    heed: Callable[[Sequence[Arrival]], Coroutine[None, None, None]] = _unheeded


undivided = Apart()
"""A batch is one part, and nobody asks about alarms."""
