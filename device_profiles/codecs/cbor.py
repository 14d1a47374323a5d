"""CBOR (RFC 8949) as plain values: bounded, and without tags that make objects.

Byte strings become lower-case hexadecimal text and keys become text, so that a profile's paths
and types mean the same as for JSON.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import cbor2

from gateway_core.errors import PayloadError

MAX_BYTES = 1 << 20
"""Longest payload that is read, in bytes."""

MAX_DEPTH = 64
"""Deepest nesting of arrays, maps and tags."""

MAX_INTEGER_BYTES = 1_785
"""Longest big integer: a longer one has more than the 4,300 digits that JSON's reader takes, and
that Python writes as text (as a key, or to tell duplicates apart)."""

_MAX_EXPONENT = 400
"""Of decimal fractions and bigfloats: beyond it nothing fits a double."""

# tags that the library would turn into objects: shared references, patterns, messages, sets, ...
_KNOWN_TAGS = (25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 43001)


def parse_cbor(payload: bytes) -> Any:
    """Return the one value in `payload` in terms of dict, list, str, int, float, bool and None.

    Kept: time tags (as the number or text they carry), big integers, decimal fractions and
    bigfloats of sane size, self-described CBOR. Every other tag is refused.

    Raises:
        PayloadError: ``not_cbor`` (truncated, malformed, too long, too deep, refused tag) or
            ``trailing_bytes``.
    """
    return _plain(decode_cbor(payload))


def decode_cbor(payload: bytes) -> Any:
    """As `parse_cbor`, but byte strings stay bytes and integer keys stay integers."""
    if len(payload) > MAX_BYTES:
        raise PayloadError("not_cbor", f"longer than {MAX_BYTES} bytes")
    stream = io.BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        stream,
        max_depth=MAX_DEPTH,
        tag_hook=_refused,
        semantic_decoders=_DECODERS,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError) as exc:
        raise PayloadError("not_cbor", str(exc)[:120]) from exc
    if stream.tell() != len(payload):
        raise PayloadError(
            "trailing_bytes", f"{len(payload) - stream.tell()} bytes after the value"
        )
    return value


def _refused(tag: Any, _immutable: bool) -> Any:  # noqa: FBT001 - cbor2 calls it so
    raise cbor2.CBORDecodeError(f"tag {tag.tag} is not accepted")


def _refuser(tag: int) -> Callable[[Any, bool], Any]:
    def refuse(_value: Any, _immutable: bool) -> Any:  # noqa: FBT001 - cbor2 calls it so
        raise cbor2.CBORDecodeError(f"tag {tag} is not accepted")

    return refuse


def _carried(value: Any, _immutable: bool) -> Any:  # noqa: FBT001 - cbor2 calls it so
    """Return what the tag carries, as it is: times are numbers or text to a profile."""
    if not isinstance(value, str | int | float):
        raise cbor2.CBORDecodeError("a time tag holds text or a number")
    return value


def _big(sign: int, plus: int) -> Callable[[Any, bool], int]:
    """Return the decoder of integers beyond 64 bits, which come as bytes."""

    def big(value: Any, _immutable: bool) -> int:  # noqa: FBT001 - cbor2 calls it so
        if not isinstance(value, bytes):
            raise cbor2.CBORDecodeError("a big integer is bytes")
        if len(value.lstrip(b"\0")) > MAX_INTEGER_BYTES:
            raise cbor2.CBORDecodeError(f"an integer of more than {MAX_INTEGER_BYTES} bytes")
        return sign * int.from_bytes(value) + plus

    return big


def _fraction(scale: Callable[[int, int], float]) -> Callable[[Any, bool], Any]:
    """Return the decoder of fractions ``[exponent, mantissa]`` that `scale` puts together."""

    def fraction(value: Any, _immutable: bool) -> float:  # noqa: FBT001 - cbor2 calls it so
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise cbor2.CBORDecodeError("a fraction is [exponent, mantissa]")
        exponent, mantissa = value
        if type(exponent) is not int or type(mantissa) is not int:
            raise cbor2.CBORDecodeError("a fraction is made of integers")
        if abs(exponent) > _MAX_EXPONENT or mantissa.bit_length() > _MAX_EXPONENT:
            raise cbor2.CBORDecodeError("a fraction beyond any double")
        return scale(mantissa, exponent)

    return fraction


_DECODERS: dict[int, Callable[[Any, bool], Any]] = {
    **{tag: _refuser(tag) for tag in _KNOWN_TAGS},
    0: _carried,
    1: _carried,
    2: _big(1, 0),
    3: _big(-1, -1),
    4: _fraction(lambda mantissa, exponent: float(f"{mantissa}e{exponent}")),
    5: _fraction(math.ldexp),
}


def _plain(value: Any) -> Any:
    """Return `value` in JSON's terms."""
    if isinstance(value, str | float | bool | int | None):
        return value
    if isinstance(value, Mapping):  # what stands inside a tag comes as a frozen mapping
        return {_key(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is cbor2.undefined:
        return None
    raise PayloadError("not_cbor", f"a {type(value).__name__} has no meaning here")


def _key(key: object) -> str:
    """Return a map key as text."""
    if isinstance(key, str):
        return key
    if isinstance(key, int):
        return str(key)
    if isinstance(key, bytes):
        return key.hex()
    raise PayloadError("not_cbor", f"a {type(key).__name__} as a map key")
