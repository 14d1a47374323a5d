"""Sparkplug B sessions: births say what metrics are called, data may then use numbers alone.

The session of an edge node (which sequence number comes next, which devices are there, what each
alias stands for) is the same whoever reads it, so it belongs to no profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from device_profiles.codecs.contract import Ask, Context, Message, Packet, SpecError
from device_profiles.codecs.grammar import Path, kind, mapping
from device_profiles.codecs.sparkplug_values import Untyped, plain_value, properties
from device_profiles.codecs.sparkplug_wire import parse_payload, rebirth_request
from device_profiles.identity import safe_name
from device_profiles.memory import Memory, MemoryOfOne
from gateway_core.errors import PayloadError

Kind = Literal["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"]
KINDS: tuple[Kind, ...] = ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH")

SESSION = "sparkplug/"
ASK_EVERY_NS = 60_000_000_000
MOST_METRICS = 10_000
MOST_DEVICES = 1_000
_MS = 1_000_000
_LATEST_MS = 9_000_000_000_000


class Session(msgspec.Struct, frozen=True, array_like=True):
    """One edge node.

    Attributes:
        seq: Of its latest message; None before the first.
        bd: bdSeq of its latest birth; None when that was not heard.
        asked: When it was last asked for its births, nanoseconds; 0 for never.
        born: Whether a birth of this session was heard.
        since: When its first message was received, nanoseconds: the aliases of a birth that came
            late, because it was asked for, are good from then on.
    """

    seq: int | None = None
    bd: int | None = None
    asked: int = 0
    born: bool = False
    since: int = 0


class Names(msgspec.Struct, frozen=True, array_like=True):
    """What one birth said.

    Attributes:
        kinds: Metric to data type.
        aliases: Alias to metric.
        since: Messages received before this have other aliases.
    """

    kinds: dict[str, int] = {}
    aliases: dict[int, str] = {}
    since: int = 0


class Devices(msgspec.Struct, frozen=True, array_like=True):
    """The devices of an edge node that said they are there."""

    names: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """The points of one message: those of metrics that it names, and of those it numbers."""

    named: dict[tuple[int | None, bool], dict[str, Any]] = field(default_factory=dict)
    numbered: dict[tuple[int | None, bool], dict[str, Any]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def compile_sparkplug(spec: object, path: Path) -> Rebirth:
    """Compile ``sparkplug-b: {rebirth: true}``.

    Returns:
        Decodes ``(bytes, context)``; the context's captures have ``message`` (a `Kind`), ``group``,
        ``node`` and, of devices, ``name``.

    Raises:
        SpecError: The specification is wrong.
    """
    found = mapping(spec if spec is not None else {}, path, ("rebirth",))
    rebirth = found.get("rebirth", True)
    if not isinstance(rebirth, bool):
        raise SpecError((*path, "rebirth"), f"expected true or false, found {kind(rebirth)}")
    return Rebirth(asks=rebirth)


@dataclass(frozen=True, slots=True)
class Rebirth:
    """The decoder.

    Attributes:
        asks: Whether a node is asked for its births where they are missing.
    """

    asks: bool

    def __call__(self, payload: object, context: Context) -> Message:
        """Return what a message says; raises `PayloadError`."""
        if not isinstance(payload, bytes):
            raise PayloadError("not_bytes", "a Sparkplug B payload is bytes")
        known = context.captures
        message, node = known.get("message"), f"{known.get('group')}/{known.get('node')}"
        if message not in KINDS:
            raise PayloadError("not_applicable", "the topic is none of a Sparkplug B node's data")
        memory = context.memory or MemoryOfOne()
        found = parse_payload(payload)
        if len(found.metrics) > MOST_METRICS:
            raise PayloadError("too_many_points", f"more than {MOST_METRICS} metrics")
        if message == "NDEATH":
            return _node_death(found, node, known, memory)
        return self._alive(found, message, node, context, memory)

    def _alive(
        self, payload: Any, message: str, node: str, context: Context, memory: Memory
    ) -> Message:
        before = memory.get(SESSION + node, Session) or Session()
        own = context.captures.get("name", "") if message[0] == "D" else ""
        names = memory.get(_names_key(node, own), Names)
        gap, after = _next(before, payload, message, context.received)
        if message.endswith("BIRTH"):
            names = _announced(payload, after.since)
            memory.put(_names_key(node, own), names)
        if message == "NBIRTH" and before.born and before.bd != after.bd:
            for name in (memory.get(_devices_key(node), Devices) or Devices()).names:
                memory.put(_names_key(node, name), None)
        if own:
            _note_device(node, own, memory, there=message != "DDEATH")
        if names is not None and context.received < names.since:
            names = None  # a replay of what an earlier session said
        read = _read(payload, names)
        ask: tuple[Ask, ...] = ()
        if gap or read.unknown or (names is None and message != "DDEATH"):
            ask, after = self._ask(after, context)
        memory.put(SESSION + node, after)
        unread = None
        if read.unknown:
            some = ", ".join(read.unknown[:5])
            unread = ("unknown_alias", f"no birth told what these are: {some}")
        online = {"NBIRTH": True, "DBIRTH": True, "DDEATH": False}.get(message)
        flags = ("seq:gap",) if gap else ()
        numbered = _packets(read.numbered)
        return Message(_packets(read.named), numbered, unread, online, flags, (), ask)

    def _ask(self, session: Session, context: Context) -> tuple[tuple[Ask, ...], Session]:
        """Ask a node for its births, at most once a minute."""
        known, now = context.captures, context.received
        if not self.asks or (session.asked and now - session.asked < ASK_EVERY_NS):
            return (), session
        topic = f"spBv1.0/{known['group']}/NCMD/{known['node']}"
        ask = Ask(topic, rebirth_request(now // _MS))
        return (ask,), msgspec.structs.replace(session, asked=max(now, 1))


def _next(before: Session, payload: Any, message: str, now: int) -> tuple[bool, Session]:
    """Return whether messages are missing before this one, and the session after it."""
    seq = payload.seq & 0xFF if payload.HasField("seq") else None
    since = before.since or now
    if message == "NBIRTH":
        bd = _bd_seq(payload)
        goes_on = not before.born or before.bd == bd
        return False, Session(seq, bd, 0, born=True, since=since if goes_on else now)
    if seq is None:
        return False, msgspec.structs.replace(before, since=since)
    gap = before.seq is not None and seq != (before.seq + 1) & 0xFF
    return gap, msgspec.structs.replace(before, seq=seq, since=since)


def _node_death(payload: Any, node: str, captures: Mapping[str, str], memory: Memory) -> Message:
    """Read the will of a node: it and all its devices are gone, unless a later birth was heard."""
    session, said = memory.get(SESSION + node, Session), _bd_seq(payload)
    if session is not None and None not in (session.bd, said) and session.bd != said:
        raise PayloadError(
            "stale_death", f"the will of session {said}; the node is in session {session.bd}"
        )
    devices = (memory.get(_devices_key(node), Devices) or Devices()).names
    for name in (*devices, ""):
        memory.put(_names_key(node, name), None)
    memory.put(_devices_key(node), None)
    memory.put(SESSION + node, None)
    also = tuple((device_captures({**captures, "name": name}, "DDEATH"), False) for name in devices)
    return Message([], [], online=False, also=also)


def _note_device(node: str, name: str, memory: Memory, *, there: bool) -> None:
    known = (memory.get(_devices_key(node), Devices) or Devices()).names
    if there == (name in known):
        return
    rest = tuple(each for each in known if each != name)
    names = (*rest[-MOST_DEVICES + 1 :], name) if there else rest
    memory.put(_devices_key(node), Devices(names))
    if not there:
        memory.put(_names_key(node, name), None)


def _announced(payload: Any, since: int) -> Names:
    kinds = {metric.name: metric.datatype for metric in payload.metrics if metric.name}
    aliases = {
        metric.alias: metric.name
        for metric in payload.metrics
        if metric.name and metric.HasField("alias")
    }
    return Names(kinds, aliases, since)


def _read(payload: Any, names: Names | None) -> _Found:
    found, names = _Found(), names or Names()
    default = payload.timestamp if payload.HasField("timestamp") else None
    for metric in payload.metrics:
        by_alias = not metric.name
        name = names.aliases.get(metric.alias) if by_alias else metric.name
        if name is None:
            found.unknown.append(f"alias {metric.alias}")
            continue
        said = metric.datatype if metric.HasField("datatype") else names.kinds.get(name, 0)
        try:
            value = plain_value(metric, said)
        except Untyped:
            found.unknown.append(name[:64])
            continue
        time = metric.timestamp if metric.HasField("timestamp") else default
        at = time * _MS if time is not None and time < _LATEST_MS else None
        group = found.numbered if by_alias else found.named
        values = group.setdefault((at, bool(metric.is_historical)), {})
        values[name] = value
        for key, more in properties(metric).items():
            values[f"{name}#{key}"] = more
    return found


def _packets(found: Mapping[tuple[int | None, bool], dict[str, Any]]) -> list[Packet]:
    return [
        Packet(None, time, values, history=history) for (time, history), values in found.items()
    ]


def _bd_seq(payload: Any) -> int | None:
    for metric in payload.metrics:
        if metric.name == "bdSeq":
            try:
                value = plain_value(metric, metric.datatype)
            except Untyped:  # a counter to 255: a number that may be negative is none
                return None
            return value if type(value) is int else None
    return None


def device_captures(captures: Mapping[str, str], message: str) -> dict[str, str]:
    """Return captures with ``device``, the id that a node or device has by default, and a name.

    ``<group>:<node>`` and ``<group>:<node>:<name>``; see `safe_name`.
    """
    group, node = captures["group"], captures["node"]
    parts = [group, node, captures["name"]] if message[0] == "D" else [group, node]
    known = dict(captures)
    known.setdefault("name", node)
    known["message"] = message
    known["device"] = ":".join(map(safe_name, parts))
    return known


def _names_key(node: str, device: str) -> str:
    return f"sparkplug-names/{node}/{device}"


def _devices_key(node: str) -> str:
    return f"sparkplug-devices/{node}"
