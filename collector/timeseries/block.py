"""Points of one measurement on their way into a columnar store: lists instead of rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway_core.model import Value


class Block:
    """Rows of one measurement as columns; cells that no row set are None.

    Attributes:
        times: Nanoseconds, one for each row.
        series: Series ids, one for each row.

    Rows may be added in any order; which of two points at one time is the later one follows from
    their places in the batch.
    """

    __slots__ = ("_columns", "_places", "series", "times")

    def __init__(self) -> None:
        self._places: list[int] = []
        self.times: list[int] = []
        self.series: list[int] = []
        self._columns: dict[str, list[Value | None]] = {}

    def __len__(self) -> int:
        return len(self.times)

    def add(self, place: int, time: int, series: int, fields: Mapping[str, Value]) -> None:
        """Append one row."""
        self.extend([place], [time], [series], {name: (value,) for name, value in fields.items()})

    def extend(
        self,
        places: Sequence[int],
        times: Sequence[int],
        series: Sequence[int],
        columns: Mapping[str, Sequence[Value]],
    ) -> None:
        """Append rows, given as columns of equal length."""
        row = len(self.times)
        for name, cells in columns.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = []
            if len(column) < row:
                column.extend([None] * (row - len(column)))
            column.extend(cells)
        self._places.extend(places)
        self.times.extend(times)
        self.series.extend(series)

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
        if len(set(self.times)) == len(self.times):
            return self
        keys = list(zip(self.times, self.series, strict=True))
        if len(set(keys)) == len(keys):
            return self
        rows: dict[tuple[int, int], dict[str, Value]] = {}
        columns = self.columns()
        for at in sorted(range(len(keys)), key=self._places.__getitem__):
            row = rows.setdefault(keys[at], {})
            for name, column in columns.items():
                cell = column[at]
                if cell is not None:
                    row[name] = cell
        out = Block()
        for (time, series), fields in rows.items():
            out.add(len(out), time, series, fields)
        return out
