"""What is wrong with an MQTT 5 packet's texts, flags and properties, each with its code. Pure.

The `mqtt5` codec panics at text that is not UTF-8 and leaves the interpreter with an error that
nobody raised, and it knows one kind of error where the specification knows two, so packets are
walked here first (MQTT 5.0 sections 1.5.4, 2.2.2, 3.1.2 and 3.8.3).
"""

from __future__ import annotations

from edge_agent.sources.listen.packets import BAD_ALIAS, MALFORMED, PROTOCOL_ERROR, Broken

_SIZES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_TEXTS = frozenset({0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F})
_BLOBS = frozenset({0x09, 0x16})
_NUMBER, _PAIR = 0x0B, 0x26
_RESPONSE_TOPIC, _AUTH_METHOD, _AUTH_DATA, _ALIAS = 0x08, 0x15, 0x16, 0x23
_TRUTHS = frozenset({0x01, 0x17, 0x19})
"""Properties that are 0 or 1."""
_POSITIVE = frozenset({0x0B, 0x21, 0x27})
"""Properties that are not 0."""
CONNECT, WILL, PUBLISH, PUBACK, PUBREL, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT = (
    1,
    0,
    3,
    4,
    6,
    8,
    10,
    14,
)
_ALLOWED = {
    CONNECT: frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27}),
    WILL: frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26}),
    PUBLISH: frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26}),
    PUBACK: frozenset({0x1F, 0x26}),
    PUBREL: frozenset({0x1F, 0x26}),
    SUBSCRIBE: frozenset({0x0B, 0x26}),
    UNSUBSCRIBE: frozenset({0x26}),
    DISCONNECT: frozenset({0x11, 0x1F, 0x26}),
}


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
            check_properties(kind, body, 3)
        case 8 | 10:
            at = check_properties(kind, body, 2)
            while at < len(body):
                start, at = at + 2, _after_text(body, at)
                if kind == 8 and at < len(body):
                    _check_options(body[at], bytes(body[start:at]))
                    at += 1
        case 14 if len(body) > 1:
            check_properties(kind, body, 1)


def check_properties(kind: int, body: memoryview, at: int) -> int:
    """Walk over properties that begin with their length; return where they end.

    Args:
        kind: Type of the packet, or `WILL`.
        body: It.
        at: Where the length is.
    """
    size, at = _number(body, at)
    end = at + size
    if end > len(body):
        raise _cut()
    allowed, seen = _ALLOWED[kind], set()
    while at < end:
        name, start = body[at], at + 1
        at = _after_property(body, at)
        if at > end:
            raise _cut()
        if name not in allowed:
            raise Broken(MALFORMED, f"property 0x{name:02x}, which has no place here")
        if name in seen and name != _PAIR:
            raise Broken(PROTOCOL_ERROR, f"property 0x{name:02x} twice")
        seen.add(name)
        _check_value(name, bytes(body[start:at]))
    if _AUTH_DATA in seen and _AUTH_METHOD not in seen:
        raise Broken(PROTOCOL_ERROR, "authentication data without a method")
    return end


def _check_value(name: int, value: bytes) -> None:
    if name in _TRUTHS and value[0] > 1:
        raise Broken(PROTOCOL_ERROR, f"property 0x{name:02x} that is neither 0 nor 1")
    if name in _POSITIVE and not any(value):
        raise Broken(PROTOCOL_ERROR, f"property 0x{name:02x} of 0")
    if name == _ALIAS and not any(value):  # section 3.3.2.3.4
        raise Broken(BAD_ALIAS, "topic alias 0")
    if name == _RESPONSE_TOPIC and {*b"+#"} & {*value[2:]}:
        raise Broken(PROTOCOL_ERROR, "a response topic with a wildcard")


def _check_options(options: int, pattern: bytes) -> None:
    """Look at the options of one subscription."""
    if options & 0xC0:
        raise Broken(MALFORMED, "reserved options of a subscription")
    if options & 3 == 3 or options & 0x30 == 0x30:
        raise Broken(PROTOCOL_ERROR, "a subscription of QoS 3, or retain handling 3")
    if options & 4 and pattern.startswith(b"$share/"):
        raise Broken(PROTOCOL_ERROR, "a shared subscription with No Local")


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
    if flags & 1:
        raise Broken(MALFORMED, "the reserved flag of CONNECT")
    if flags & 0x18 == 0x18 or (flags & 0x38 and not flags & 4):
        raise Broken(MALFORMED, "a Will of QoS 3, or flags of a Will without a Will")
    at = _after_text(body, check_properties(CONNECT, body, 10))
    if flags & 4:
        at = _after_blob(body, _after_text(body, check_properties(WILL, body, at)))
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
