"""The bytes of one message, range by range: what they are and what they became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from device_profiles.became import Became, Uses
from device_profiles.codecs import Context, Message, Packet, Values
from device_profiles.codecs.trace import Block, Span
from device_profiles.influence import STRUCTURE, influence
from device_profiles.js.step import JsCodec
from device_profiles.passage import Passage
from device_profiles.profile import Profile
from gateway_core.errors import PayloadError

_READ = ("field", "key", "skip")


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of a block.

    Attributes:
        start: First byte, from 0.
        end: One after the last byte.
        hex: The bytes.
        kind: ``field key length skip mark check condition``, ``value`` or ``structure`` where it
            was found by changing bytes, or ``unread``.
        path: The decoded value's name; empty where there is none.
        value: As decoded, before scale and unit.
        became: What it was used for.
    """

    start: int
    end: int
    hex: str
    kind: str
    path: str = ""
    value: Any = None
    became: tuple[Became, ...] = ()


def byte_blocks(
    profile: Profile, passage: Passage, uses: Uses, context: Context
) -> list[dict[str, Any]]:
    """Return whose bytes, how many, and their ranges, outermost first; empty where none are bytes.

    Args:
        profile: The profile, not watched.
        passage: The message's way through the watched one.
        uses: What its values became.
        context: What the codec knew beside the bytes.
    """
    blocks = [
        {"what": block.what, "length": len(block.data), "ranges": _ranges(block, uses)}
        for block in passage.blocks
    ]
    last = passage.blocks[-1] if passage.blocks else None
    if last is not None and last.data[:1] in (b"{", b"[") and not last.spans:
        return blocks[:-1]  # JSON is read by its members, not by its bytes
    if last is None or passage.values is None or any(s.kind in _READ for s in last.spans):
        return blocks
    found = _by_change(profile, passage, context)
    if found is not None:
        data, ranges = found
        what = last.what if data == last.data else "data within"
        block = {"what": what, "length": len(data), "ranges": _changed(data, ranges, uses)}
        blocks = [*blocks[:-1], block] if data == last.data else [*blocks, block]
    return blocks


def _ranges(block: Block, uses: Uses) -> list[Range]:
    spans = sorted(
        {_key(span): span for span in block.spans}.values(), key=lambda s: (s.start, -s.end)
    )
    ranges = [
        Range(
            span.start,
            span.end,
            block.data[span.start : span.end].hex(" "),
            span.kind,
            span.path,
            span.value,
            uses.of(span.path) if span.kind == "field" and span.path else (),
        )
        for span in spans
    ]
    ranges += [Range(a, b, block.data[a:b].hex(" "), "unread") for a, b in block.unread()]
    return sorted(ranges, key=lambda one: (one.start, -one.end))


def _key(span: Span) -> tuple[int, int, str, str]:
    return span.start, span.end, span.path, span.kind


def _by_change(
    profile: Profile, passage: Passage, context: Context
) -> tuple[bytes, list[tuple[int, int, tuple[str, ...]]]] | None:
    """Return innermost bytes and which values they decide; None where they are not bytes."""
    if passage.entry is None or passage.body is None:
        return None
    codec = profile.entries[passage.entry].decode
    body, data = passage.body
    if isinstance(codec, JsCodec):
        inner, context, _ = codec.carried(data, context)
        inside = context
        many = lambda messages: codec.decode_many([(m, inside) for m in messages])  # noqa: E731
        return inner, influence(many, inner)

    def each(messages: Sequence[bytes]) -> list[Values | list[Packet] | Message | PayloadError]:
        found: list[Values | list[Packet] | Message | PayloadError] = []
        for message in messages:
            try:
                found.append(body(message))
            except PayloadError as exc:
                found.append(exc)
        return found

    return data, influence(each, data)


def _changed(
    data: bytes, ranges: Sequence[tuple[int, int, tuple[str, ...]]], uses: Uses
) -> list[Range]:
    found = []
    at = 0
    for start, end, paths in ranges:
        if at < start:
            found.append(Range(at, start, data[at:start].hex(" "), "unread"))
        named = [path for path in paths if path != STRUCTURE]
        became = tuple(dict.fromkeys(use for path in named for use in uses.of(path)))
        kind = "structure" if STRUCTURE in paths else "value"
        found.append(
            Range(start, end, data[start:end].hex(" "), kind, ", ".join(named), None, became)
        )
        at = end
    if at < len(data):
        found.append(Range(at, len(data), data[at:].hex(" "), "unread"))
    return found
