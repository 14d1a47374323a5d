"""CoAP requests that wait for the same commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from edge_agent.arrival import Arrival
from edge_agent.sources.coap_memory import Fate
from edge_agent.sources.coap_replies import Asked
from edge_agent.sources.udp_socket import Datagram, Place


@dataclass(slots=True)
class Batch:
    """Requests that are stored by one commit, and what they bring.

    Attributes:
        arrivals: What is to be stored.
        asked: The request of each; one of which nothing else is to be said is its datagram.
        fate: Of those, for when they come again.
        size: Bytes of all payloads.
        timer: When the requests are promised an answer.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    asked: list[Asked | Datagram] = field(default_factory=list)
    fate: Fate = field(default_factory=Fate)
    size: int = 0
    timer: asyncio.TimerHandle | None = None


def key_of(data: bytes, place: Place) -> int:
    """Return what a request is remembered by: who sent it, and all of its bytes."""
    return hash((place.peer, data))


def asked_of(one: Asked | Datagram) -> Asked:
    """Return a request of which more is to be said than that it is stored."""
    return one if isinstance(one, Asked) else Asked(*one, key_of(*one))
