"""What a client says, in words that MQTT 3.1.1 and 5 share, and what is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

# Reason codes of MQTT 5.0 section 2.4; the 3.1.1 codec says of them what its version can say.
SUCCESS = 0x00
WITH_WILL = 0x04
UNSPECIFIED = 0x80
MALFORMED = 0x81
PROTOCOL_ERROR = 0x82
UNSUPPORTED_VERSION = 0x84
BAD_CLIENT_ID = 0x85
BAD_LOGIN = 0x86
NOT_AUTHORIZED = 0x87
UNAVAILABLE = 0x88
BUSY = 0x89
SHUTTING_DOWN = 0x8B
BAD_AUTH_METHOD = 0x8C
KEEP_ALIVE_TIMEOUT = 0x8D
TAKEN_OVER = 0x8E
BAD_FILTER = 0x8F
BAD_TOPIC = 0x90
NOT_FOUND = 0x92
RECEIVE_MAX_EXCEEDED = 0x93
BAD_ALIAS = 0x94
TOO_LARGE = 0x95
QUOTA_EXCEEDED = 0x97
NO_SHARED = 0x9E
RATE_EXCEEDED = 0x9F
NO_SUBSCRIPTION_IDS = 0xA1

LONGEST_TOPIC = 512
"""Characters; longer ones are no sensor's."""


class Broken(Exception):  # what happened, not the word Error
    """A client broke the protocol, or asked for what it cannot have: the connection ends.

    Attributes:
        code: Reason code of MQTT 5.
        detail: For the log, and for MQTT 5 clients that want it.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"0x{code:02x} {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Will:
    """What to take in as said by the client when its connection ends without a word.

    Attributes:
        topic: Where.
        payload: What.
        delay_s: Seconds to wait first; a client that is back by then takes it back.
        client: Whose, once it was let in.
    """

    topic: str
    payload: bytes
    delay_s: int = 0
    client: str = ""


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT.

    Attributes:
        client_id: May be empty.
        clean: Begin a new session.
        keep_alive: Seconds; 0 for none.
        expiry_s: How long the session outlives the connection; 0 not at all. A session of MQTT
            3.1.1 that is not clean has no end.
        username: Or None.
        password: Or None.
        will: Or None.
        receive_max: Messages of ours that the client takes unacknowledged.
        max_packet: Longest packet that the client takes in bytes, or None.
        auth_method: Of the enhanced authentication that it wants, or None.
    """

    client_id: str
    clean: bool
    keep_alive: int = 0
    expiry_s: int = 0
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None
    receive_max: int = 65_535
    max_packet: int | None = None
    auth_method: str | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """PUBLISH; ``packet_id`` is 0 where there is none, ``alias`` 0 likewise."""

    topic: str
    payload: bytes
    qos: int
    duplicate: bool
    packet_id: int
    alias: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE: pattern and QoS of each filter."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    packet_id: int
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """PUBREL: the client will not send this message of QoS 2 again."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """PUBACK of a message that we sent."""

    packet_id: int
    code: int = SUCCESS


@dataclass(frozen=True, slots=True)
class Ping:
    """PINGREQ."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT; ``expiry_s`` changes the session's, None leaves it."""

    code: int = SUCCESS
    expiry_s: int | None = None


Packet = Connect | Publish | Subscribe | Unsubscribe | Release | Confirm | Ping | Disconnect


@dataclass(frozen=True, slots=True)
class Welcome:
    """CONNACK with success: what this connection may do.

    Attributes:
        session_present: The session goes on.
        assigned_id: Client id given to a client without one, or empty.
        keep_alive: Seconds.
        expiry_s: Of the session.
        receive_max: Unacknowledged messages of QoS 1 and 2 that we take.
        max_packet: Longest packet that we take, in bytes.
        alias_max: Topic aliases that we keep.
    """

    session_present: bool
    assigned_id: str
    keep_alive: int
    expiry_s: int
    receive_max: int
    max_packet: int
    alias_max: int


class Codec(Protocol):
    """One version of the protocol, from the server's side."""

    version: str

    def read(self, data: memoryview) -> tuple[Packet, int] | None:
        """Return the first packet and its length in bytes; None where its end has not come yet.

        Raises:
            Broken: It is no packet that a client may send.
        """

    def welcome(self, terms: Welcome) -> bytes: ...  # noqa: D102
    def refuse(self, code: int, detail: str) -> bytes: ...  # noqa: D102
    def puback(self, packet_id: int, code: int = SUCCESS) -> bytes: ...  # noqa: D102
    def pubrec(self, packet_id: int, code: int = SUCCESS) -> bytes: ...  # noqa: D102
    def pubcomp(self, packet_id: int, code: int = SUCCESS) -> bytes: ...  # noqa: D102
    def suback(self, packet_id: int, codes: list[int]) -> bytes: ...  # noqa: D102
    def unsuback(self, packet_id: int, codes: list[int]) -> bytes: ...  # noqa: D102
    def pingresp(self) -> bytes: ...  # noqa: D102
    def goodbye(self, code: int, detail: str) -> bytes: ...  # noqa: D102

    def publish(self, topic: str, payload: bytes, packet_id: int, expiry_s: float | None) -> bytes:
        """Return a PUBLISH of QoS 1, or of QoS 0 where the packet id is 0."""


def frame(data: memoryview, max_packet: int) -> tuple[int, int] | None:
    """Return where the first packet's variable part begins and ends; None while not all has come.

    Raises:
        Broken: It is longer than ``max_packet``, or its length is malformed (section 1.5.5).
    """
    if len(data) > 1 and data[1] < 0x80 and data[1] + 2 <= max_packet:  # as most are
        return (2, data[1] + 2) if data[1] + 2 <= len(data) else None
    length = shift = 0
    for at in range(1, min(len(data), 5)):
        length |= (data[at] & 0x7F) << shift
        shift += 7
        if not data[at] & 0x80:
            total = 1 + at + length
            if total > max_packet:
                raise Broken(TOO_LARGE, f"a packet of {total} bytes, at most {max_packet}")
            return (1 + at, total) if total <= len(data) else None
    if len(data) >= 5:
        raise Broken(MALFORMED, "a packet without a length")
    return None
