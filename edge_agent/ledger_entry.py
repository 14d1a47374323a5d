"""A line of the egress ledger: how it is written, chained and found again. Pure but for the list.

Described to the byte in docs/reference/formats/ledger.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

import msgspec

GENESIS = "0" * 64
"""What the first entry of all is chained to."""

Kind = Literal["batch", "outcome", "repaired", "pruned"]
_HASH = b',"hash":"'


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the ledger, without its own hash.

    Attributes:
        n: Number of the entry, from 1, without gaps.
        at: When, RFC 3339 in UTC.
        kind: ``batch`` is about to leave; ``outcome`` of an earlier one; ``repaired``: a torn
            last line was cut off; ``pruned``: the oldest file was removed.
        prev: Hash of the entry before.
        to: Where the batch goes.
        epoch: Of the spool that the sequence numbers belong to.
        first: First sequence number (of entry, for ``pruned``).
        last: Last one, inclusive.
        records: Kind of record to count of what leaves.
        withheld: Rule to count of what stays.
        trimmed: Records that leave without a part that stays.
        bytes: Of the body as it leaves (of what was cut off, for ``repaired``).
        sha256: Of the body as it leaves (the last hash of the file, for ``pruned``).
        of: Number of the entry that this is the outcome of.
        outcome: ``accepted``, ``refused``, ``unavailable``.
        detail: What the other side said, in short.
        again: Whether the centre asked for something that was sent before.
    """

    n: int
    at: str
    kind: Kind
    prev: str
    to: str = ""
    epoch: str = ""
    first: int = 0
    last: int = 0
    records: Mapping[str, int] = {}
    withheld: Mapping[str, int] = {}
    trimmed: int = 0
    bytes: int = 0
    sha256: str = ""
    of: int = 0
    outcome: str = ""
    detail: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at some moment.

    Attributes:
        n: Number of the last entry; 0 for an empty ledger.
        hash: Its hash.
    """

    n: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        """Return ``n:hash``, as it is kept in the spool."""
        return f"{self.n}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` made; anything else is an empty ledger's head."""
        number, _, chain = text.partition(":")
        return cls(int(number), chain) if number.isdigit() and len(chain) == 64 else cls()


def seal(body: bytes) -> tuple[bytes, str]:
    """Return an entry's line, and the hash that it carries, from its JSON object."""
    chain = sha256(body).hexdigest()
    return body[:-1] + _HASH + chain.encode() + b'"}\n', chain


def unseal(line: bytes) -> tuple[bytes, str] | None:
    """Return an entry's JSON object and the hash that its line carries; None if it is torn."""
    body, mark, rest = line.rpartition(_HASH)
    if not mark or len(rest) != 66 or not rest.endswith(b'"}'):
        return None
    return body + b"}", rest[:64].decode("ascii", "replace")


def last_entry(data: bytes) -> tuple[Head, int]:
    """Return the last whole entry of a file, and how many of its bytes are whole lines."""
    end = data.rfind(b"\n") + 1
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        opened = unseal(data[begin : end - 1])
        if opened is not None:
            try:
                entry = msgspec.json.decode(opened[0], type=Entry)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass
            else:
                return Head(entry.n, opened[1]), end
        end = begin
    return Head(), 0


def ledger_files(folder: Path) -> list[Path]:
    """Return the ledger's files, oldest first."""
    return sorted(path for path in folder.glob("ledger-*.jsonl") if path.is_file())
