"""What a broker granted, and what its refusals mean for the person who reads the log."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.downlink import Undeliverable
from gateway_core.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Terms:
    """What the broker said when it let the agent in; MQTT 3.1.1 says only the first.

    Attributes:
        session_present: It still has the session, with what came while the agent was away.
        keep_alive: Seconds that replace the agent's own, or None.
        session_expiry: Seconds that replace the agent's own, or None.
        receive_maximum: Messages that a publisher may have in flight to this broker.
        qos: Highest quality of service.
        wildcards: Whether filters may hold ``+`` and ``#``.
        shared: Whether filters may begin with ``$share/``.
        max_packet: Longest packet that it takes in, or None.
    """

    session_present: bool
    keep_alive: int | None = None
    session_expiry: int | None = None
    receive_maximum: int | None = None
    qos: int = 2
    wildcards: bool = True
    shared: bool = True
    max_packet: int | None = None


class Refused(Unavailable):
    """The broker will not have this agent until a person changes something; do not hurry."""


_CREDENTIALS = "check username, password_file and the broker's password file"
_RIGHTS = "allow this client id and user in the broker's access control list"
_VERSION = "set version: 3.1.1 for this broker"

_CONNECT = {
    128: ("unspecified error", "see the broker's log"),
    129: ("malformed packet", _VERSION),
    130: ("protocol error", _VERSION),
    131: ("implementation specific error", "see the broker's log"),
    132: ("unsupported protocol version", _VERSION),
    133: ("client id not valid", "the broker limits client ids: allow tidegate-<edge>-<name>"),
    134: ("bad user name or password", _CREDENTIALS),
    135: ("not authorized", _RIGHTS),
    136: ("server unavailable", "the broker is starting or ending"),
    137: ("server busy", "the broker is at its limit of connections or load"),
    138: ("banned", "lift the ban on this client id or address at the broker"),
    140: ("bad authentication method", "use a password or a certificate"),
    149: ("packet too large", "the broker's max_packet_size is below a CONNECT packet"),
    151: ("quota exceeded", "raise the broker's quota for this client"),
    156: ("use another server", "point url at the server the broker names"),
    157: ("server moved", "point url at the server the broker names"),
    159: ("connection rate exceeded", "the broker limits new connections"),
}
_PATIENT = frozenset({129, 130, 132, 133, 134, 135, 138, 140, 149, 156, 157})

_SUBSCRIBE = {
    128: ("unspecified error", "see the broker's log"),
    131: ("implementation specific error", "see the broker's log"),
    135: ("not authorized", "allow reading it in the broker's access control list"),
    143: ("topic filter invalid", "mend it under subscribe or in the profile that names it"),
    145: ("packet identifier in use", "it is asked for again at the next connection"),
    151: ("quota exceeded", "raise the broker's limit of subscriptions"),
    158: ("shared subscriptions not supported", "leave shared_group out for this broker"),
    162: ("wildcards not supported", "list whole topics under subscribe"),
}

_PUBLISH = {
    16: ("no matching subscribers", "nobody is subscribed to it: is the device connected?"),
    128: ("unspecified error", "see the broker's log"),
    131: ("implementation specific error", "see the broker's log"),
    135: ("not authorized", "allow writing it in the broker's access control list"),
    144: ("topic name invalid", "mend it in the profile's command"),
    151: ("quota exceeded", "raise the broker's quota for this client"),
    153: ("payload format invalid", "the broker checks payloads of this topic"),
}

_GOODBYE = {
    0: ("normal disconnection", "someone closed it at the broker"),
    129: ("malformed packet", "report this: the agent sent what the broker cannot read"),
    130: ("protocol error", "report this: the agent broke the protocol"),
    135: ("not authorized", _RIGHTS),
    137: ("server busy", "the broker sheds load"),
    139: ("server shutting down", "the broker is ending"),
    141: ("keep alive time-out", "the network is slower than keep_alive allows"),
    142: (
        "session taken over",
        "another program has this client id: no two edges may share an id, nor two brokers a name",
    ),
    147: ("receive maximum exceeded", "lower receive_maximum"),
    149: ("packet too large", "lower the number of filters under subscribe"),
    150: ("message rate too high", "raise the broker's rate limit for this client"),
    151: ("quota exceeded", "raise the broker's quota for this client"),
    152: ("administrative action", "someone closed it at the broker"),
    156: ("use another server", "point url at the server the broker names"),
    157: ("server moved", "point url at the server the broker names"),
    160: ("maximum connect time", "the broker limits how long a connection may last"),
}


def connect_refused(code: int, text: str | None) -> Unavailable:
    """Return what a CONNACK reason code means; `Refused` where only a person can help."""
    kind = Refused if code in _PATIENT else Unavailable
    return kind(f"the broker refuses the connection: {_told(_CONNECT, code, text)}")


def subscribe_refused(code: int) -> str:
    """Return what a SUBACK reason code of 128 or more means."""
    return _told(_SUBSCRIBE, code, None)


def publish_refused(code: int) -> Undeliverable:
    """Return what a PUBACK reason code other than 0 means."""
    name = {16: "no_subscriber", 135: "not_authorized"}.get(code, "broker_refused")
    return Undeliverable(name, _told(_PUBLISH, code, None))


def said_goodbye(code: int, text: str | None) -> Unavailable:
    """Return what the reason code of the broker's DISCONNECT means."""
    kind = Refused if code in {135, 142, 156, 157} else Unavailable
    return kind(f"the broker closed the connection: {_told(_GOODBYE, code, text)}")


def _told(table: dict[int, tuple[str, str]], code: int, text: str | None) -> str:
    name, advice = table.get(code, (f"reason 0x{code:02x}", "see the broker's log"))
    said = f' ("{text}")' if text else ""
    return f"{name}{said}; {advice}"
