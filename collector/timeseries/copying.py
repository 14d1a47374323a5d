"""Copy the embedded store as of one instant, while it is written and asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from gateway_core.errors import Unavailable


class StoreCopy:
    """The store as of the moment this was made; `write` copies it, `close` lets go of it.

    Args:
        connection: To the open store, and to nothing else.
        path: Its file, for its size.

    Raises:
        Unavailable: The store cannot be read.
    """

    name = "timeseries.duckdb"

    def __init__(self, connection: Any, path: Path) -> None:
        self.size = path.stat().st_size if path.exists() else 0
        self._cursor = connection.cursor()
        try:
            self._cursor.begin()
            self._cursor.execute("SELECT count(*) FROM tidegate.measurements").fetchall()
        except duckdb.Error as exc:
            raise Unavailable(f"embedded time series: {exc}") from exc

    def write(self, target: Path, progress: Callable[[int], None]) -> None:
        """Write the copy to a new file; blocks.

        Raises:
            Unavailable: A disk does not allow it.
        """
        try:
            (source,) = self._cursor.execute("SELECT current_database()").fetchone()
            self._cursor.execute(f"ATTACH {_text(str(target))} AS copied")
            self._cursor.execute(f"COPY FROM DATABASE {_name(source)} TO copied")
            self._cursor.commit()
            self._cursor.execute("CHECKPOINT copied")
            self._cursor.execute("DETACH copied")
        except duckdb.Error as exc:
            raise Unavailable(f"cannot copy the time series to {target}: {exc}") from exc
        progress(self.size)

    def close(self) -> None:
        """Let go of the snapshot."""
        self._cursor.close()


def check_store(path: Path) -> int:
    """Read a store's file from end to end; blocks; return how many points it holds.

    Raises:
        Unavailable: It is not whole, or a newer DuckDB wrote it.
    """
    try:
        with duckdb.connect(str(path), read_only=True) as db:
            points = 0
            for (tab,) in db.execute("SELECT tab FROM tidegate.measurements").fetchall():
                # a hash of every cell, so that every block is read and its checksum tried
                sql = f"SELECT count(*), bit_xor(hash(p)) FROM points.{_name(tab)} p"  # noqa: S608
                points += db.execute(sql).fetchall()[0][0]
            return points
    except duckdb.Error as exc:
        raise Unavailable(f"{path}: {exc}; DuckDB here is {duckdb.__version__}") from exc


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
