"""Every text of an MQTT 5 packet is UTF-8 without NUL, or the packet is malformed. Pure.

The `mqtt5` codec panics at text that is not UTF-8 and leaves the interpreter with an error that
nobody raised, so packets are walked here first (MQTT 5.0 sections 1.5.4 and 2.2.2).
"""

from __future__ import annotations

from edge_agent.sources.listen.packets import MALFORMED, Broken

_SIZES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_TEXTS = frozenset({0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F})
_BLOBS = frozenset({0x09, 0x16})
_NUMBER, _PAIR = 0x0B, 0x26


def read_text(raw: memoryview) -> str:
    """Return text; raises `Broken`."""
    try:
        found = bytes(raw).decode()
    except UnicodeDecodeError as exc:
        raise Broken(MALFORMED, "text that is not UTF-8") from exc
    if "\0" in found:
        raise Broken(MALFORMED, "text with NUL")
    return found


def check_texts(kind: int, body: memoryview) -> None:
    """Look at the texts of a packet that is no PUBLISH; raises `Broken`.

    Args:
        kind: Type of the packet, 1 for CONNECT.
        body: Its variable header and payload.
    """
    match kind:
        case 1:
            _check_connect(body)
        case 4 | 6 if len(body) > 3:
            check_properties(body, 3)
        case 8 | 10:
            at = check_properties(body, 2)
            while at < len(body):
                at = _after_text(body, at) + (kind == 8)
        case 14 if len(body) > 1:
            check_properties(body, 1)


def check_properties(body: memoryview, at: int) -> int:
    """Walk over properties that begin with their length; return where they end."""
    size, at = _number(body, at)
    end = at + size
    if end > len(body):
        raise _cut()
    while at < end:
        at = _after_property(body, at)
    if at != end:
        raise _cut()
    return end


def _after_property(body: memoryview, at: int) -> int:
    name, at = body[at], at + 1
    if name in _SIZES:
        return at + _SIZES[name]
    if name in _TEXTS:
        return _after_text(body, at)
    if name == _PAIR:
        return _after_text(body, _after_text(body, at))
    if name in _BLOBS:
        return _after_blob(body, at)
    if name == _NUMBER:
        return _number(body, at)[1]
    raise Broken(MALFORMED, f"property 0x{name:02x}, which there is not")


def _check_connect(body: memoryview) -> None:
    flags = body[7] if len(body) > 7 else 0
    at = _after_text(body, check_properties(body, 10))
    if flags & 4:
        at = _after_blob(body, _after_text(body, check_properties(body, at)))
    if flags & 0x80:
        _after_text(body, at)


def _number(body: memoryview, at: int) -> tuple[int, int]:
    found = shift = 0
    for _ in range(4):
        if at >= len(body):
            break
        found |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not body[at - 1] & 0x80:
            return found, at
    raise _cut()


def _after_text(body: memoryview, at: int) -> int:
    end = _after_blob(body, at)
    read_text(body[at + 2 : end])
    return end


def _after_blob(body: memoryview, at: int) -> int:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if at + 2 > len(body) or end > len(body):
        raise _cut()
    return end


def _cut() -> Broken:
    return Broken(MALFORMED, "a packet that ends within a field")
