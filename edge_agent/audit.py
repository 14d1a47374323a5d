"""Verify an egress ledger: find every entry that was changed, removed, added or reordered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from edge_agent.ledger_entry import GENESIS, Entry, Head, ledger_files, unseal

_MOST_FAULTS = 100


@dataclass(slots=True)
class Audit:
    """What a look at every entry found.

    Attributes:
        entries: How many there are.
        batches: How many of them are batches that left.
        first: Number of the first entry that is still kept.
        head: The end of the chain.
        faults: What is wrong, as ``file:line: what``; empty when all is well. At most 100.
    """

    entries: int = 0
    batches: int = 0
    first: int = 0
    head: Head = field(default_factory=Head)
    faults: list[str] = field(default_factory=list)

    def blame(self, place: str, what: str) -> None:
        """Enter something that is wrong."""
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"{place}: {what}")


def verify(folder: Path, anchor: Head | None = None) -> Audit:
    """Check a ledger from its first entry to its last.

    Args:
        folder: The ledger's.
        anchor: An entry that must be in it, kept elsewhere (the spool keeps one); finds a
            ledger whose end, or whole, was replaced.
    """
    audit = Audit()
    pruned: dict[str, int] = {}
    began = GENESIS
    anchored = anchor is None or anchor.n == 0
    for place, line in _lines(folder):
        opened = unseal(line)
        entry = _decoded(opened[0]) if opened else None
        if opened is None or entry is None:
            audit.blame(place, "not an entry")
            continue
        body, chain = opened
        if sha256(body).hexdigest() != chain:
            audit.blame(place, f"entry {entry.n} was changed")
        if not audit.entries:
            audit.first, began = entry.n, entry.prev
        elif entry.prev != audit.head.hash or entry.n != audit.head.n + 1:
            audit.blame(place, f"entry {entry.n} does not follow entry {audit.head.n}")
        if entry.kind == "pruned":
            pruned[entry.sha256] = entry.last
        anchored = anchored or (anchor == Head(entry.n, chain))
        audit.entries += 1
        audit.batches += entry.kind == "batch"
        audit.head = Head(entry.n, chain)
    if audit.entries and began != GENESIS and pruned.get(began) != audit.first - 1:
        audit.blame(str(folder), f"the entries before {audit.first} were removed, not pruned")
    if audit.entries and began == GENESIS and audit.first != 1:
        audit.blame(str(folder), f"the entries before {audit.first} were removed")
    if not anchored and not (anchor and anchor.n < audit.first):
        number = anchor.n if anchor else 0
        audit.blame(str(folder), f"entry {number} is gone or was replaced")
    return audit


def entries(folder: Path, after: int = 0) -> Iterator[Entry]:
    """Yield the entries with numbers above ``after``, oldest first, as far as they can be read."""
    for _, line in _lines(folder):
        opened = unseal(line)
        entry = _decoded(opened[0]) if opened else None
        if entry is not None and entry.n > after:
            yield entry


def _lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in ledger_files(folder):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield f"{path.name}:{number}", line.removesuffix(b"\n")


def _decoded(body: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(body, type=Entry)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
