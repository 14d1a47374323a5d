"""What was damaged is set aside beside its place, never deleted, and shown until a person moves it.

A damaged file ``x`` becomes ``x.damaged-1``, with what belongs to it (``-wal``, ``-journal``); the
reason stands in ``x.damaged-1.why``. So a finding survives every restart, and goes with the file.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from gateway_core.clock import NS
from gateway_core.errors import Unavailable
from gateway_core.folder import sync_folder

log = structlog.get_logger()

_NAME = re.compile(r".+\.damaged-\d+")
_WITH = ("-wal", "-shm", "-journal")
_WHY = ".why"
_MOST_WHY = 2000
DAMAGED = "damaged"
"""A folder of what was set aside, beside files that have folders of their own."""


class Aside(msgspec.Struct, frozen=True):
    """A file that was set aside.

    Attributes:
        file: Where it is now.
        since: When, RFC 3339.
        bytes: Its size.
        why: What was found, and what became of its content.
    """

    file: str
    since: str
    bytes: int
    why: str


def set_aside(path: Path, why: str) -> Path:
    """Move a damaged file (or the folder in its place) out of the way; return where it is now.

    Raises:
        Unavailable: The folder does not allow it.
    """
    n = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.damaged-{n}")):
        n += 1
    try:
        for ending in _WITH:
            part = path.with_name(path.name + ending)
            if part.exists():
                part.rename(aside.with_name(aside.name + ending))
        path.rename(aside)
        explain(aside, why)
        sync_folder(path.parent)
    except OSError as exc:
        raise Unavailable(f"{path} is damaged ({why}) and cannot be set aside: {exc}") from exc
    log.error("file_set_aside", file=str(path), moved_to=str(aside), why=why)
    return aside


def explain(aside: Path, why: str) -> None:
    """Write down, beside a file that was set aside, why; what was written before is replaced."""
    with contextlib.suppress(OSError):  # a full disk: the log has said it
        aside.with_name(aside.name + _WHY).write_text(why[:_MOST_WHY] + "\n", "utf-8")


def asides(folders: Iterable[Path]) -> list[Aside]:
    """Return what was set aside in folders, and in their ``damaged/``, oldest first; blocks."""
    found: list[Aside] = []
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            found += [_aside(Path(each.path)) for each in entries if _NAME.fullmatch(each.name)]
        with contextlib.suppress(OSError), os.scandir(folder / DAMAGED) as entries:
            found += [_aside(Path(each.path)) for each in entries]
    return sorted(found, key=lambda each: each.since)


def _aside(path: Path) -> Aside:
    about = path.lstat()
    why = ""
    with contextlib.suppress(OSError):
        why = path.with_name(path.name + _WHY).read_text("utf-8", "replace").strip()
    since = datetime.fromtimestamp(about.st_ctime_ns // NS, UTC).isoformat()
    return Aside(str(path), since, about.st_size, why)
