"""Points of one measurement on their way into a columnar store: lists instead of rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway_core.model import Value


class Block:
    """Rows of one measurement as columns; cells that no row set are None.

    Attributes:
        times: Nanoseconds, one for each row.
        series: Series ids, one for each row.
    """

    __slots__ = ("_columns", "series", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.series: list[int] = []
        self._columns: dict[str, list[Value | None]] = {}

    def __len__(self) -> int:
        return len(self.times)

    def add(self, time: int, series: int, fields: Mapping[str, Value]) -> None:
        """Append one row."""
        row = len(self.times)
        for name, value in fields.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = []
            if len(column) < row:
                column.extend([None] * (row - len(column)))
            column.append(value)
        self.times.append(time)
        self.series.append(series)

    def columns(self) -> dict[str, list[Value | None]]:
        """Return field to cells, every list as long as `times`."""
        rows = len(self.times)
        for column in self._columns.values():
            column.extend([None] * (rows - len(column)))
        return self._columns

    def merged(self) -> Block:
        """Return the block with one row for each (time, series): later cells win, field by field.

        What InfluxDB makes of two points with the same series and time.
        """
        keys = list(zip(self.times, self.series, strict=True))
        if len(set(keys)) == len(keys):
            return self
        rows: dict[tuple[int, int], dict[str, Value]] = {}
        columns = self.columns()
        for at, key in enumerate(keys):
            row = rows.setdefault(key, {})
            for name, column in columns.items():
                cell = column[at]
                if cell is not None:
                    row[name] = cell
        out = Block()
        for (time, series), fields in rows.items():
            out.add(time, series, fields)
        return out
