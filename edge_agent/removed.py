"""``removed.jsonl``: what is in no file of the archive any more, and why."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway_core.folder import sync_folder

NAME = "removed.jsonl"
_MOST = 16 << 20


class Removal(msgspec.Struct, frozen=True):
    """A line of the file: records that are in no file any more, and why."""

    at: str
    file: str
    rows: int
    epoch: str
    first: int
    last: int
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows that a damaged file took along.

    Attributes:
        file: As the shelf named it.
        rows: How many.
    """

    file: str
    rows: int


class Removed:
    """The file in a folder, and what it says of damage.

    Args:
        folder: The archive's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.damaged: list[Missing] = []

    def load(self) -> None:
        """Read what earlier lives entered, as far as it can be read."""
        found: dict[str, Missing] = {}
        for name in (NAME.replace(".jsonl", ".1.jsonl"), NAME):
            with contextlib.suppress(OSError), (self._folder / name).open("rb") as lines:
                for line in lines:
                    if b'"damaged"' not in line:
                        continue
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        one = msgspec.json.decode(line, type=Removal)
                        found[one.file] = Missing(one.file, one.rows)
        self.damaged = list(found.values())

    def add(self, removal: Removal) -> None:
        """Add a line; when the file is full, the older half is let go.

        Raises:
            OSError: The disk does not allow it.
        """
        file = self._folder / NAME
        if file.exists() and file.stat().st_size > _MOST:
            file.rename(file.with_suffix(".1.jsonl"))
        with file.open("ab") as opened:
            opened.write(msgspec.json.encode(removal) + b"\n")
        sync_folder(self._folder)
        if removal.reason == "damaged":
            self.damaged.append(Missing(removal.file, removal.rows))
