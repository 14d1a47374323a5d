"""The truth file: every message that was acknowledged to its sender, and what became of it.

A text file with one line a message, ``device,seq,sent_ns,acked_ns``, and a header that says that
the data is simulated. A message without an acknowledgement is not in the file: nobody promised it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HEADER = "# simulated data; device,seq,sent_ns,acked_ns\n"

Key = tuple[str, int]


class TruthFile:
    """Writes acknowledged messages, one line each; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0

    def __enter__(self) -> Self:
        """Open the file for appending, so that several runs add up."""
        new = not self._path.exists()
        self._file = self._path.open("a", encoding="utf-8", buffering=1 << 16)
        if new:
            self._file.write(HEADER)
        return self

    def acknowledged(self, device: str, seq: int, sent_ns: int, acked_ns: int) -> None:
        """Note that the other side took ``seq`` of ``device``."""
        self._file.write(f"{device},{seq},{sent_ns},{acked_ns}\n")
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Write what is buffered and close."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One line of a truth file; times are nanoseconds since 1970."""

    device: str
    seq: int
    sent_ns: int
    acked_ns: int


def read_truth(path: Path) -> Iterator[Acknowledged]:
    """Yield the lines of a truth file; a torn last line (the writer was killed) is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            parts = line.rstrip("\n").split(",")
            if line.startswith("#") or len(parts) != 4 or not line.endswith("\n"):
                continue
            yield Acknowledged(parts[0], int(parts[1]), int(parts[2]), int(parts[3]))


def last_seqs(path: Path) -> dict[str, int]:
    """Return the last number of each device in a truth file; nothing when there is no file."""
    found: dict[str, int] = {}
    if path.exists():
        for each in read_truth(path):
            found[each.device] = max(each.seq, found.get(each.device, 0))
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the acknowledged messages.

    Args:
        acknowledged: Messages that were promised.
        delivered: Promised messages that were found at least once.
        lost: Promised messages that were not found.
        duplicated: Points found beyond the first of each message.
        examples: Some of the lost, duplicated and overtaken, for people.
        disordered: Messages found behind a later one of their device.
    """

    acknowledged: int
    delivered: int
    lost: int
    duplicated: int
    examples: tuple[str, ...] = ()
    disordered: int = 0


def judge(promised: Iterable[Key], found: Iterable[Key]) -> Verdict:
    """Compare what was promised with what a query returned.

    Args:
        promised: (device, seq) of every acknowledged message.
        found: (device, seq) of every point in the store, with repeats, in the order of their times.
    """
    wanted = set(promised)
    listed = list(found)
    seen = Counter(listed)
    late = _overtaken(listed)
    lost = sorted(wanted - seen.keys())
    twice = sorted(key for key, n in seen.items() if n > 1)
    examples = [f"lost {d} {s}" for d, s in lost[:5]] + [f"twice {d} {s}" for d, s in twice[:5]]
    examples += [f"late {d} {s}" for d, s in late[:5]]
    return Verdict(
        acknowledged=len(wanted),
        delivered=len(wanted) - len(lost),
        lost=len(lost),
        duplicated=sum(n - 1 for n in seen.values()),
        examples=tuple(examples),
        disordered=len(late),
    )


def _overtaken(found: Iterable[Key]) -> list[Key]:
    """Return the keys that come behind a higher number of their device."""
    highest: dict[str, int] = {}
    late: list[Key] = []
    for device, seq in found:
        if seq < highest.get(device, seq):
            late.append((device, seq))
        else:
            highest[device] = seq
    return late
