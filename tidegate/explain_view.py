"""The annotated dump as people read it: bytes or members beside what they became."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from device_profiles.became import Became
from device_profiles.explain import Explained, Member
from device_profiles.explain_bytes import Range
from gateway_core.instant import to_rfc3339
from tidegate.output import DASH, paper, show

_LONGEST_HEX = 16
_LONGEST_VALUE = 48
_UNREAD = "nobody reads this"
_TIMES = {
    "device": "the device's own",
    "received": "when it came in: the device says none, or one that is not believed",
}
_WORDS = {
    "key": "key",
    "length": "length",
    "skip": "skipped",
    "mark": "mark",
    "check": "checksum",
    "condition": "looked at by when",
    "structure": "decides what is there",
    "unread": _UNREAD,
}


def show_explained(found: Explained) -> None:
    """Print every stage of one message."""
    for name, words in _stages(found):
        _line(name, words)
    for block in found.blocks:
        paper().print()
        paper().print(Text(f"{block['what']}, {block['length']} bytes", style="bold"))
        paper().print(_dump(block["ranges"], text=_is_text(block["ranges"])))
    if found.values and not _has_fields(found):
        paper().print()
        paper().print(Text("decoded values", style="bold"))
        paper().print(_members(found.values))
    paper().print()
    for name, words in _outcome(found):
        _line(name, words)


def _has_fields(found: Explained) -> bool:
    """Return whether the bytes show the decoded values already."""
    return any(one.kind == "field" for block in found.blocks for one in block["ranges"])


def _line(name: str, words: str) -> None:
    paper().print(Text.assemble((f"{name:<9} ", "bold"), words), soft_wrap=True)


def _stages(found: Explained) -> Iterator[tuple[str, str]]:
    yield "profile", f"{found.profile} {found.version}"
    if found.match is None:
        yield "match", f"{found.address}: no element of match takes it"
        return
    match = found.match
    role = "" if match["role"] == "data" else f", role {match['role']}"
    yield (
        "match",
        f"{found.address} by match.{match['entry']} ({match['via']} {match['template']}{role})",
    )
    if found.captures:
        yield "captures", show(found.captures)
    if found.fport is not None:
        yield "port", str(found.fport)
    if found.steps:
        yield "decode", " then ".join(found.steps)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _is_text(ranges: Sequence[Range]) -> bool:
    """Return whether the bytes are text that people can read."""
    data = bytes.fromhex(" ".join(one.hex for one in ranges))
    return len(data) > 1 and all(32 <= byte < 127 or byte in b"\r\n\t" for byte in data)


def _dump(ranges: Sequence[Range], *, text: bool) -> Table:
    table = _table("at", "text" if text else "bytes", "what", "decoded", "became")
    for one in ranges:
        words = "" if one.kind == "structure" and one.path else _WORDS.get(one.kind, "")
        what = " ".join(filter(None, (words, one.path))) if one.kind != "field" else one.path
        decoded = "" if one.value is None or one.kind == "key" else _short(one.value)
        became = _became(one.became) or ("ignored" if one.kind == "field" else "")
        style = "dim" if one.kind == "unread" else ""
        shown = repr(bytes.fromhex(one.hex))[2:-1] if text else _hex(one.hex)
        cells = (_place(one), shown, what, decoded, became)
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def _place(one: Range) -> str:
    return f"{one.start}" if one.end == one.start + 1 else f"{one.start}-{one.end - 1}"


def _hex(text: str) -> str:
    words = text.split()
    if len(words) <= _LONGEST_HEX:
        return text
    return f"{' '.join(words[: _LONGEST_HEX - 2])} … {words[-1]}"


def _members(members: Sequence[Member]) -> Table:
    table = _table("path", "decoded", "became")
    for one in members:
        cells = (one.path, _short(one.value), _became(one.became) or "ignored")
        table.add_row(*(Text(cell) for cell in cells), style="" if one.became else "dim")
    return table


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _became(uses: Sequence[Became]) -> str:
    return "; ".join(map(_use, uses))


def _use(use: Became) -> str:
    if use.use == "field":
        if use.flag:
            return f"{use.name}: not stored, {use.flag}"
        if use.value is None:
            return use.name
        return f"{use.name} = {show(use.value)} {use.unit}".rstrip()
    words = {"time": "the time", "device": "the device id", "condition": "looked at by"}[use.use]
    return words if use.use != "condition" else f"{words} {use.name}"


def _outcome(found: Explained) -> Iterator[tuple[str, str]]:
    if found.reject is not None:
        yield "refused", f"{found.reject}: {found.detail}" if found.detail else found.reject
        return
    for told in found.devices:
        yield "device", told["device"] or DASH
        for point in told["points"]:
            fields = "  ".join(f"{name}={show(value)}" for name, value in point["fields"].items())
            yield "point", f"{to_rfc3339(point['time'])}  {fields}"
        yield "quality", ", ".join(told["quality"]) or "all good"
        yield "alarms", " ".join(told["alarms"]) or "none"
    if found.time is not None:
        yield "time", _TIMES[found.time]
    if found.online is not None:
        yield "online", show(found.online)
    for name, rule in found.egress.items():
        yield "leaves", f"{name}: {rule}"
