"""SenML packs (RFC 8428), as JSON and as CBOR: resolved records, grouped into packets.

`resolve` applies the base fields (section 4.6); `compile_senml` gives the decoder that groups what
belongs to one device and one instant. XML, EXI and SensML streams are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs.contract import Context, Packet
from device_profiles.codecs.grammar import Path, mapping, text
from device_profiles.codecs.numbers import as_ns, is_number
from device_profiles.codecs.senml_forms import read_pack
from gateway_core.errors import PayloadError

VERSION = 10
"""The version of SenML that RFC 8428 defines; a higher ``bver`` is refused."""

SUM = "#sum"
"""Follows the name of a record's sum; "#" cannot be in a SenML name."""

UNNAMED = "value"
"""Own name of a record whose name is all device."""

MAX_RECORDS = 10_000
"""Most records that one pack may hold."""

_RELATIVE = 1 << 28  # section 4.5.3: times below it are relative to now
_BASES = frozenset(("bn", "bt", "bu", "bv", "bs", "bver"))
_VALUES = frozenset(("v", "vs", "vb", "vd"))
_SAYING = _VALUES | {"s"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A record with its base fields applied.

    Attributes:
        prefix: The base name that was in force; the name starts with it.
        name: Full name.
        unit: As sent, or None.
        time_ns: Nanoseconds since 1970, or None for "now".
        value: Number, text, bool, or base64url text of data; None where there is only a sum.
        sum: Integral of the value over time, or None.
    """

    prefix: str
    name: str
    unit: str | None
    time_ns: int | None
    value: float | str | bool | None
    sum: float | None


def compile_senml(
    spec: object, path: Path, split: str | None = None, *, many: bool = False
) -> Callable[[object, Context], list[Packet]]:
    """Compile ``senml: {}``.

    Args:
        spec: ``{}`` or ``{split: ":"}``: the text between device and own name. Without it, the
            base name is the device and the name the own name.
        path: Where it stands, for errors.
        split: Default of ``split``, from the profile's ``device``.
        many: Whether a pack may tell of several devices.
    """
    found = mapping(spec if spec is not None else {}, path, ("split",))
    mark = text(found["split"], (*path, "split")) if "split" in found else split

    def decode(payload: object, context: Context) -> list[Packet]:
        records = resolve(read_pack(payload, context), context.received)
        return _packets(records, context.received, mark, many=many)

    return decode


def resolve(pack: object, now_ns: int, names: re.Pattern[str] = _NAME) -> list[Resolved]:
    """Apply base fields and relative times, in the order of the pack.

    Args:
        pack: A list of records with JSON labels.
        now_ns: What relative times count from.
        names: What a full name may be.

    Raises:
        PayloadError: ``not_senml``, ``senml_name``, ``senml_version`` or
            ``senml_must_understand``.
    """
    if not isinstance(pack, list) or not pack:
        raise PayloadError("not_senml", "expected a list of records")
    if len(pack) > MAX_RECORDS:
        raise PayloadError("not_senml", f"more than {MAX_RECORDS} records")
    base = _Base(names)
    resolved = []
    for record in pack:
        _check(record)
        base.take(record)
        if base.has_value(record):
            resolved.append(base.apply(record, now_ns))
    return resolved


class _Base:
    """The base fields in force; each stays until another record sets it anew."""

    def __init__(self, names: re.Pattern[str]) -> None:
        self._names = names
        self.name = ""
        self.time: float = 0
        self.unit: str | None = None
        self.value: float | None = None
        self.sum: float | None = None
        self.version: int | None = None

    def take(self, record: Mapping[str, Any]) -> None:
        """Take over the base fields that the record sets."""
        if _BASES.isdisjoint(record):
            return
        self.name = record.get("bn", self.name)
        self.time = record.get("bt", self.time)
        self.unit = record.get("bu", self.unit)
        self.value = record.get("bv", self.value)
        self.sum = record.get("bs", self.sum)
        version = record.get("bver", self.version)
        if version is not None and version > VERSION:
            raise PayloadError("senml_version", f"version {version}, this reads up to {VERSION}")
        if self.version is not None and version != self.version:
            raise PayloadError("senml_version", "the version changes within the pack")
        self.version = version

    def has_value(self, record: Mapping[str, Any]) -> bool:
        """Return whether the record says something, and does not only set base fields."""
        if not _SAYING.isdisjoint(record):
            return True
        return (self.value is not None or self.sum is not None) and ("n" in record or "t" in record)

    def apply(self, record: Mapping[str, Any], now_ns: int) -> Resolved:
        """Return the record with the base fields applied."""
        name = self.name + record.get("n", "")
        if not self._names.fullmatch(name):
            raise PayloadError("senml_name", "a name is empty or has a character it may not have")
        total = record.get("s")
        if total is not None or self.sum is not None:
            total = (total or 0) + (self.sum or 0)
        return Resolved(
            self.name,
            name,
            record.get("u", self.unit),
            _time(self.time + record.get("t", 0), now_ns),
            self._value(record, total),
            total,
        )

    def _value(self, record: Mapping[str, Any], total: float | None) -> Any:
        if "v" in record:
            return record["v"] if self.value is None else record["v"] + self.value
        for label in ("vs", "vb", "vd"):
            if label in record:
                value = record[label]
                return value.rstrip("=") if label == "vd" else value
        assert total is not None or self.value is not None  # has_value saw to it
        return self.value


def _time(seconds: float, now_ns: int) -> int | None:
    if seconds == 0:
        return None
    at = as_ns(seconds)
    return at if seconds >= _RELATIVE else now_ns + at


def _check(record: object) -> None:
    """Raise unless the record's labels and types are what section 4 allows."""
    if not isinstance(record, dict):
        raise PayloadError("not_senml", "a record is not a map")
    values = 0
    for label, value in record.items():
        test = _TESTS.get(label)
        if test is None:
            _unknown(label)
        elif not test(value):
            raise PayloadError("not_senml", f"{label} has the wrong type or form")
        elif label in _VALUES:
            values += 1
    if values > 1:
        raise PayloadError("not_senml", "a record has more than one value")


def _unknown(label: object) -> None:
    """Raise unless a label that this does not know may be ignored."""
    if not isinstance(label, str):
        raise PayloadError("not_senml", "a label is neither text nor a known number")
    if label.endswith("_"):
        raise PayloadError("senml_must_understand", "a label ending in _ is not known here")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_data(value: object) -> bool:
    """Return whether `value` is base64url text of some bytes."""
    return (
        isinstance(value, str)
        and _BASE64URL.fullmatch(value) is not None
        and len(value.rstrip("=")) % 4 != 1
    )


_TESTS: dict[object, Callable[[object], bool]] = {
    **dict.fromkeys(("bt", "bv", "bs", "v", "s", "t", "ut"), is_number),
    **dict.fromkeys(("bn", "bu", "n", "u", "vs"), _is_text),
    "vb": lambda value: isinstance(value, bool),
    "vd": _is_data,
    "bver": lambda value: type(value) is int and value > 0,
}


def _packets(records: list[Resolved], now_ns: int, mark: str | None, *, many: bool) -> list[Packet]:
    """Group records by device and instant, in order of time.

    A name that occurs again opens a new packet.
    """
    devices: set[str | None] = set()
    packets: dict[tuple[str | None, int | None, int], Packet] = {}
    for record in records:
        device, name = _named(record, mark)
        devices.add(device)
        if len(devices) > 1 and not many:
            raise PayloadError("mixed_devices", "the pack tells of more than one device")
        turn = 0
        while (packet := packets.get((device, record.time_ns, turn))) and name in packet.values:
            turn += 1
        if packet is None:
            packet = Packet(device, record.time_ns, {}, {})
            packets[device, record.time_ns, turn] = packet
        if record.value is not None:
            packet.values[name] = record.value
        if record.unit is not None and packet.units is not None:
            packet.units[name] = record.unit
        if record.sum is not None:
            packet.values[name + SUM] = record.sum
    return sorted(packets.values(), key=lambda p: now_ns if p.time_ns is None else p.time_ns)


def _named(record: Resolved, mark: str | None) -> tuple[str | None, str]:
    """Return device and own name."""
    if mark:
        device, found, own = record.name.rpartition(mark)
        return (device or None, own or UNNAMED) if found else (None, own)
    if not record.prefix:
        return None, record.name
    return record.prefix.rstrip(":/._-"), record.name[len(record.prefix) :] or UNNAMED
