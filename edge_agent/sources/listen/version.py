"""Which MQTT a client speaks: protocol name and level of CONNECT (section 3.1.2). Pure."""

from __future__ import annotations

from edge_agent.sources.listen.codec5 import Codec5
from edge_agent.sources.listen.codec311 import Codec311
from edge_agent.sources.listen.packets import (
    PROTOCOL_ERROR,
    UNSUPPORTED_VERSION,
    Broken,
    Codec,
    frame,
)

_CONNECT = 0x10
_BRIDGE = 0x80
"""A broker that bridges first sets this bit of the level, and leaves it when it is told 1."""


class Unsupported(Broken):
    """A version that is not spoken here.

    Attributes:
        codec: Says so in the nearest version that is.
    """

    def __init__(self, codec: Codec, detail: str) -> None:
        super().__init__(UNSUPPORTED_VERSION, detail)
        self.codec = codec


def choose(data: memoryview, max_packet: int) -> Codec | None:
    """Return the codec for what begins with this CONNECT; None while not all of it has come.

    Args:
        data: The first bytes of a connection, at least one.
        max_packet: Longest packet in bytes.

    Raises:
        Broken: It is no CONNECT of a version that is spoken here.
    """
    if data[0] != _CONNECT:
        raise Broken(PROTOCOL_ERROR, "something else than CONNECT at the beginning")
    found = frame(data, max_packet)
    if found is None:
        return None
    at, _ = found
    size = 2 + int.from_bytes(data[at : at + 2], "big")
    name, level = bytes(data[at : at + size]), bytes(data[at + size : at + size + 1])
    if name == b"\0\x06MQIsdp":
        raise Unsupported(Codec311(max_packet), "MQTT 3.1")
    if name != b"\0\x04MQTT" or not level:
        raise Broken(PROTOCOL_ERROR, "another protocol")
    if level == b"\x04":
        return Codec311(max_packet)
    if level == b"\x05":
        return Codec5(max_packet)
    later = level[0] & ~_BRIDGE >= 5
    nearest: Codec = Codec5(max_packet) if later else Codec311(max_packet)
    raise Unsupported(nearest, f"protocol level {level[0]}")
