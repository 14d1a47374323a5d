"""Does something again whenever files change: what ``--watch`` means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

LOOK_EVERY_S = 0.3
_MOST_FILES = 10_000


def again_on_change(
    paths: Sequence[Path],
    act: Callable[[], int],
    *,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Act now and after every change of a file, until interrupted; return the last result.

    Args:
        paths: Files, and folders whose files count at any depth.
        act: What to do.
        wait: Sleeps so many seconds between looks.
    """
    result = act()
    seen = dict(_stamps(paths))
    try:
        while True:
            wait(LOOK_EVERY_S)
            now = dict(_stamps(paths))
            if now != seen:
                seen = now
                print()
                result = act()
    except KeyboardInterrupt:
        return result


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
