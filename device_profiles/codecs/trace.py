"""A record of which bytes became which value, kept only by codecs that were compiled under it.

Normal decoding pays nothing: a codec asks `tracing` once, while it is compiled, and only under
`compiled_under` do its readers come wrapped. One `Trace` serves one message at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from device_profiles.codecs.contract import Values
from gateway_core.errors import PayloadError

Place = tuple[str | int, ...]
"""Where in the profile, or below `Trace.base`: keys and indices."""

Kind = Literal["field", "key", "length", "skip", "mark", "check", "condition"]
"""What a range of bytes is: a value, a key or length of a stream, named filler, a constant of a
frame, a checksum, or a byte that only a ``when`` looked at."""

Read = Callable[[bytes, int, int, int, Values], int]
Unproven = Literal["case", "branch", "layout"]
"""What a message may come to, or not."""

Part = tuple[str | None, int, int]
"""Name (None for bytes without a value), offset and size of a plain field."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that were read together.

    Attributes:
        start: First byte, counted in its block.
        end: One after the last byte.
        path: The value's name, with lists: ``history[1].temperature``.
        kind: What the bytes are.
        value: As decoded, before the measurement's scale; None where there is none.
    """

    start: int
    end: int
    path: str
    kind: Kind
    value: object = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a frame stand in it.

    Attributes:
        data: For each byte of the data within: start and end in the frame (an escaped byte is two).
        spans: Header values, constants and checksums.
    """

    data: Sequence[tuple[int, int]]
    spans: Sequence[Span]


@dataclass(slots=True)
class Block:
    """Bytes that are shown together: the message, or what a member of it carried.

    Attributes:
        what: Whose bytes.
        data: The bytes.
        spans: What was read, in the order of reading.
    """

    what: str
    data: bytes
    spans: list[Span] = field(default_factory=list)

    def unread(self) -> list[tuple[int, int]]:
        """Return the ranges of bytes that nobody read."""
        read = bytearray(len(self.data))
        for span in self.spans:
            read[span.start : span.end] = b"\1" * (span.end - span.start)
        ranges: list[tuple[int, int]] = []
        for at, seen in enumerate(read):
            if seen:
                continue
            if ranges and ranges[-1][1] == at:
                ranges[-1] = (ranges[-1][0], at + 1)
            else:
                ranges.append((at, at + 1))
        return ranges


class Trace:
    """What one profile's codecs read.

    Attributes:
        base: Where the ``decode`` list stands that is being compiled.
        reachable: Every case, branch and layout there is, and which of these it is.
        reached: Those that some message came to, since the trace was made.
        blocks: Of the last message, outermost first.
        steps: The steps that the last message went through.
        body: The decoder of the innermost bytes and these bytes, once a message came to it.
    """

    def __init__(self) -> None:
        self.base: Place = ()
        self.reachable: dict[Place, Unproven] = {}
        self.reached: set[Place] = set()
        self.begin(b"")

    def begin(self, message: bytes, what: str = "payload") -> None:
        """Forget the last message and start with the bytes of the next."""
        self.blocks = [Block(what, message)]
        self.steps: list[Place] = []
        self.body: tuple[Callable[[bytes], Values], bytes] | None = None
        self._data: Sequence[tuple[int, int]] | None = None  # None: a byte is where it is
        self._prefix: list[str] = []
        self._counts: dict[str, int] = {}

    def note(self, start: int, end: int, name: str, kind: Kind, value: object = None) -> None:
        """Enter bytes of the innermost data."""
        if end <= start:
            return
        if self._data is not None:
            if end > len(self._data):
                return
            start, end = self._data[start][0], self._data[end - 1][1]
        path = ".".join([*self._prefix, name]) if name else ""
        self.blocks[-1].spans.append(Span(start, end, path, kind, value))

    def _reachable(self, place: Place, kind: Unproven) -> Place:
        full = (*self.base, *place)
        self.reachable[full] = kind
        return full

    def watch_run(self, read: Read, parts: Sequence[Part], *, absolute: bool) -> Read:
        """Return ``read``, noting its plain fields; those that are there also when it fails."""

        def watched(buf: bytes, pos: int, start: int, end: int, out: Values) -> int:
            base = start if absolute else pos
            known: Values = {}
            try:
                after = read(buf, pos, start, end, known)
            except PayloadError:
                self._parts(parts, base, end, known)
                raise
            out.update(known)
            self._parts(parts, base, end, known)
            return after

        return watched

    def _parts(self, parts: Sequence[Part], base: int, end: int, known: Values) -> None:
        for name, offset, size in parts:
            if base + offset + size <= end:
                kind: Kind = "skip" if name is None else "field"
                self.note(
                    base + offset, base + offset + size, name or "", kind, known.get(name or "")
                )

    def watch_tail(self, read: Read, name: str) -> Read:
        """Return ``read``, noting the field that takes what is left."""

        def watched(buf: bytes, pos: int, start: int, end: int, out: Values) -> int:
            after = read(buf, pos, start, end, out)
            self.note(pos, end, name, "field", out.get(name))
            return after

        return watched

    def watch_branch(self, read: Read, place: Place) -> Read:
        """Return ``read``, noting that its condition held."""
        place = self._reachable(place, "branch")

        def watched(buf: bytes, pos: int, start: int, end: int, out: Values) -> int:
            self.reached.add(place)
            return read(buf, pos, start, end, out)

        return watched

    def watch_case(
        self, case: Callable[[bytes, int, int, Values], int], place: Place, width: int, size: int
    ) -> Callable[[bytes, int, int, Values], int]:
        """Return a case of a keyed stream, noting key and length in front of its value.

        Args:
            case: Reads the value.
            place: Of the case.
            width: Bytes of the key.
            size: Bytes of the length; 0 where there is none.
        """
        place = self._reachable(place, "case")

        def watched(buf: bytes, pos: int, end: int, out: Values) -> int:
            self.reached.add(place)
            key = pos - size - width
            self.note(key, key + width, str(place[-1]), "key", buf[key : key + width].hex(" "))
            self.note(pos - size, pos, str(place[-1]), "length", end - pos)
            return case(buf, pos, end, out)

        return watched

    def watch_record(self, read: Callable[[bytes, int, int, Values], int], name: str) -> Read:
        """Return the reader of one record of the list ``name``."""

        def watched(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
            full = ".".join([*self._prefix, name])
            count = self._counts.get(full, 0)
            self._counts[full] = count + 1
            self._prefix.append(f"{name}[{count}]")
            try:
                return read(buf, pos, end, out)
            finally:
                self._prefix.pop()

        return watched

    def watch_frame(
        self,
        open_: Callable[[bytes], tuple[bytes, Values]],
        find: Callable[[bytes], Places] | None,
        place: Place,
    ) -> Callable[[bytes], tuple[bytes, Values]]:
        """Return the opener of a frame or carrier, noting where its data stands.

        Args:
            open_: Opens it.
            find: Finds its parts in a frame that ``open_`` took; None: the data is not in it as it
                is, and gets a block of its own.
            place: Of the step.
        """
        place = (*self.base, *place)

        def watched(frame: bytes) -> tuple[bytes, Values]:
            data, values = open_(frame)
            self.steps.append(place)
            if find is None:
                self.blocks.append(Block(f"data within {place[-1]}", data))
                self._data = None
                return data, values
            places = find(frame)
            for span in places.spans:
                self.note(span.start, span.end, span.path, span.kind, values.get(span.path))
            outer = self._data
            if outer is not None:
                self._data = [(outer[start][0], outer[end - 1][1]) for start, end in places.data]
            else:
                self._data = places.data
            return data, values

        return watched

    def watch_body(
        self, body: Callable[[bytes], Values], place: Place, peeks: Sequence[int]
    ) -> Callable[[bytes], Values]:
        """Return the decoder of a layout, noting that it was the right one.

        Args:
            body: Decodes the innermost bytes.
            place: Of the step.
            peeks: Bytes that its ``when`` looked at.
        """
        place = self._reachable(place, "layout")

        def watched(data: bytes) -> Values:
            self.reached.add(place)
            self.steps.append(place)
            self.body = (body, data)
            for at in peeks:
                if at < len(data):
                    self.note(at, at + 1, "when", "condition", data[at])
            return body(data)

        return watched


_ACTIVE: ContextVar[Trace | None] = ContextVar("trace", default=None)


def tracing() -> Trace | None:
    """Return the trace that codecs are being compiled under, or None."""
    return _ACTIVE.get()


@contextmanager
def compiled_under(trace: Trace) -> Iterator[None]:
    """Compile codecs so that they enter what they read into ``trace``."""
    token = _ACTIVE.set(trace)
    try:
        yield
    finally:
        _ACTIVE.reset(token)
