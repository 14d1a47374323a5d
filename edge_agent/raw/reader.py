"""Read a raw store, while its writer runs or without it; blocking, from any process.

Damage is confined: what a block's CRC does not vouch for is reported and passed over, and reading
goes on at the next sound block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.raw.block import HEAD_BYTES, MAGIC, Damaged, Head, RawMessage, unpack
from edge_agent.raw.shelf import raw_files

_LARGEST = 128 << 20
"""A frame that claims to be larger than this is no frame."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a raw file that are not what was written.

    Attributes:
        file: Which.
        at: Offset of the first one.
        why: How that was noticed.
    """

    file: Path
    at: int
    why: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.file}: at byte {self.at}: {self.why}"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has come: everything before ``at`` of the file with this number.

    Attributes:
        number: Of the file; 0 before the first.
        at: Offset in it.
    """

    number: int = 0
    at: int = 0


def _ignore(_damage: Damage) -> None:
    """Pass over damage in silence."""


class RawReader:
    """Yields what a raw store holds, oldest commit first; call `read` again for what came since.

    Args:
        folder: Of the store.
        damaged: Is told of each damaged place, once.

    Attributes:
        place: How far it has come; a reader that is given it goes on from there.
    """

    def __init__(
        self,
        folder: Path,
        damaged: Callable[[Damage], None] = _ignore,
        place: Place = Place(),
    ) -> None:
        self.place = place
        self._folder = folder
        self._damaged = damaged

    def size_ahead(self) -> int:
        """Return how many bytes are still to be read."""
        place = self.place
        ahead = 0
        for path in raw_files(self._folder):
            number = int(path.stem)
            if number >= place.number:
                size = _size(path)
                ahead += size - place.at if number == place.number else size
        return ahead

    def skip_all(self) -> None:
        """Go to the end, so that `read` yields only what comes from now on."""
        files = raw_files(self._folder)
        if files:
            self.place = Place(int(files[-1].stem), _size(files[-1]))

    def read(self, since: int = 0, until: int | None = None) -> Iterator[RawMessage]:
        """Yield messages received at ``since`` or later, and before ``until`` (nanoseconds)."""
        for path in raw_files(self._folder):
            number = int(path.stem)
            if number < self.place.number:
                continue
            if number > self.place.number:
                self.place = Place(number)
            last = [path] == raw_files(self._folder)[-1:]
            try:
                data = _rest(path, self.place.at)
            except FileNotFoundError:  # retired meanwhile
                continue
            except OSError as exc:
                self._damaged(Damage(path, self.place.at, str(exc)))
                continue
            for message in self._blocks(path, data, since, until, growing=last):
                if since <= message.arrival.received and (
                    until is None or message.arrival.received < until
                ):
                    yield message

    def _blocks(
        self, path: Path, data: bytes, since: int, until: int | None, *, growing: bool
    ) -> Iterator[RawMessage]:
        base, at = self.place.at, 0
        while at < len(data):
            try:
                head = Head.parse(data[at : at + HEAD_BYTES])
                end = at + HEAD_BYTES + head.size
                alone = data.find(MAGIC, at + 1) < 0
                if growing and alone and len(data) < end < at + _LARGEST:
                    return  # it is being written
                if head.newest >= since and (until is None or head.oldest < until):
                    yield from unpack(head, data[at + HEAD_BYTES : end])
            except Damaged as exc:
                if growing and len(data) - at < HEAD_BYTES:
                    return
                self._damaged(Damage(path, base + at, str(exc)))
                found = data.find(MAGIC, at + 1)
                end = len(data) if found < 0 else found
            at = end
            self.place = Place(self.place.number, base + at)


def _rest(path: Path, at: int) -> bytes:
    with path.open("rb") as opened:
        opened.seek(at)
        return opened.read()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
