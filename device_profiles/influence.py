"""Which bytes decide which values, found by changing bytes: for codecs that cannot be watched.

A vendor's JavaScript, CBOR and text say nothing of positions. So every byte is changed in a few
ways, and what is then different depends on it. Bytes whose change makes the message unreadable, or
makes other values come and go, are its structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from device_profiles.codecs import Message, Packet, Values
from gateway_core.errors import PayloadError

LONGEST = 512
"""Bytes of a message that are looked at; the rest is left out."""

STRUCTURE = "structure"
"""What stands in place of a value's path for bytes that decide what is there at all."""

TIME, DEVICE = "time", "device"
"""What a pack has beside its values."""

_CHANGES = (0x01, 0x80, 0xFF)

Found = "Values | list[Packet] | Message | PayloadError"
DecodeMany = Callable[[Sequence[bytes]], "Sequence[Values | list[Packet] | Message | PayloadError]"]


def influence(decode: DecodeMany, data: bytes) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return ``(start, end, paths of values)`` of bytes that decide something, in order.

    Args:
        decode: Decodes messages, each for itself.
        data: The message; it can be read.
    """
    size = min(len(data), LONGEST)
    changed = [_with(data, at, data[at] ^ mask) for at in range(size) for mask in _CHANGES]
    first, *others = decode([data, *changed])
    if isinstance(first, PayloadError):
        return []
    known = _known(first)
    ranges: list[tuple[int, int, tuple[str, ...]]] = []
    for at in range(size):
        results = others[at * len(_CHANGES) : (at + 1) * len(_CHANGES)]
        decided = _decided(known, results)
        if not decided:
            continue
        if ranges and ranges[-1][1] == at and ranges[-1][2] == decided:
            ranges[-1] = (ranges[-1][0], at + 1, decided)
        else:
            ranges.append((at, at + 1, decided))
    return ranges


def _decided(
    known: dict[str, Any], results: Sequence[Values | list[Packet] | Message | PayloadError]
) -> tuple[str, ...]:
    """Return what is different in results; a byte that may only change its own values has none."""
    paths: dict[str, None] = {}
    structure = False
    for result in results:
        found = None if isinstance(result, PayloadError) else _known(result)
        if found is None or found.keys() != known.keys():
            structure = True
            continue
        for path, value in found.items():
            if type(value) is not type(known[path]) or value != known[path]:
                paths[path] = None
    if paths and not structure:
        return tuple(paths)
    return (STRUCTURE, *paths) if structure else ()


def _known(found: Values | list[Packet] | Message) -> dict[str, Any]:
    """Return values by path; of packs also what else a message decides."""
    known = dict(leaves(found))
    if isinstance(found, list):
        known |= {f"[{number}] {TIME}": one.time_ns for number, one in enumerate(found)}
        known |= {f"[{number}] {DEVICE}": one.device for number, one in enumerate(found)}
    return known


def _with(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


def leaves(found: Values | list[Packet] | Message) -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything decoded that is no mapping or list."""
    if isinstance(found, Message):
        found = [*found.named, *found.numbered]
    if isinstance(found, list):
        for number, packet in enumerate(found):
            for name, value in packet.values.items():
                yield from _walk(value, f"[{number}].{name}")
        return
    yield from _walk(found, "")


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            name = str(key)
            name = f'"{name}"' if any(mark in name for mark in '."[]') else name
            yield from _walk(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _walk(item, f"{path}[{number}]")
    else:
        yield path, value
