"""Copy a spool's file as of one instant, while its owner goes on writing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import apsw

from gateway_core.errors import Unavailable
from gateway_core.spool import schema

_STEP = 2048  # pages: 8 MiB


class SpoolCopy:
    """The file as of the moment this was made; `write` puts it elsewhere, `close` lets go of it.

    Until then the write-ahead log cannot be emptied, so it grows by what is written meanwhile.

    Args:
        path: Of the spool.

    Raises:
        Unavailable: There is none, or it cannot be read.
    """

    name = "spool.db"

    def __init__(self, path: Path) -> None:
        self.size = sum(
            part.stat().st_size
            for part in (path, path.with_name(path.name + "-wal"))
            if part.exists()
        )
        try:
            self._db = schema.open_reader(path)
            with schema.translated("the spool"):
                self._db.execute("BEGIN")
                schema.number(self._db, "SELECT count(*) FROM consumer")  # takes the snapshot
        except schema.SpoolDamaged as exc:
            raise Unavailable(str(exc)) from exc

    def write(self, target: Path, progress: Callable[[int], None]) -> None:
        """Write the copy to a new file; blocks.

        Args:
            target: Must not exist.
            progress: Is called with the bytes written since the last call.

        Raises:
            Unavailable: A disk does not allow it.
        """
        try:
            with schema.translated(f"cannot copy to {target}"):
                copy = apsw.Connection(str(target))
                try:
                    with copy.backup("main", self._db, "main") as backup:
                        while not backup.done:
                            before = backup.remaining
                            backup.step(_STEP)
                            progress(max(0, before - backup.remaining) * schema.PAGE)
                finally:
                    copy.close()
        except schema.SpoolDamaged as exc:
            raise Unavailable(
                f"the spool is damaged: {exc}; start the collector to mend it"
            ) from exc

    def close(self) -> None:
        """Let go of the snapshot."""
        with contextlib.suppress(apsw.Error):
            self._db.execute("COMMIT")
        self._db.close()


def check_whole(path: Path) -> None:
    """Read a spool's file from end to end; blocks.

    Raises:
        Unavailable: It is no spool, not whole, or another program's.
    """
    try:
        db = schema.open_reader(path)
        try:
            with schema.translated(str(path)):
                found = db.execute("PRAGMA quick_check(1)").fetchone()
                if found is None or found[0] != "ok":
                    raise Unavailable(f"{path}: {found and found[0]}")
        finally:
            db.close()
    except schema.SpoolDamaged as exc:
        raise Unavailable(f"{path}: {exc}") from exc
