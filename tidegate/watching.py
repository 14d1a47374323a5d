"""Does something again whenever files change: what ``--watch`` means."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

LOOK_EVERY_S = 0.3
_MOST_FILES = 10_000


def again_on_change(paths: Sequence[Path], act: Callable[[], int]) -> int:
    """Act now and after every change of a file, until interrupted; return the last result.

    The first interrupt lets what is being done end: raised within it, it may meet code that
    swallows it. The second is raised.

    Args:
        paths: Files, and folders whose files count at any depth.
        act: What to do.
    """
    interrupted = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, end)
    try:
        seen = dict(_stamps(paths))  # before acting: what changes meanwhile is a change
        result = act()
        while not interrupted:
            time.sleep(LOOK_EVERY_S)
            now = dict(_stamps(paths))
            if now != seen:
                seen = now
                print()
                result = act()
        return result
    finally:
        signal.signal(signal.SIGINT, before)


def _stamps(paths: Sequence[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield files with time and size; one that vanishes while an editor saves it is not there."""
    for path in paths:
        files = path.rglob("*") if path.is_dir() else [path]
        for count, file in enumerate(files):
            if count == _MOST_FILES:
                return
            try:
                found = file.stat()
            except OSError:
                continue
            yield file, (found.st_mtime_ns, found.st_size)
