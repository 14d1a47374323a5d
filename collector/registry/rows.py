"""Rows as they stand in the registry's database: loaded by key, written many at once.

Rows of devices are remembered where no other program changes them, because a device that spoke will
speak again; those that a transaction took are forgotten until it is known to be committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection, Select, Table, select, tuple_

from collector.registry import tables
from collector.registry.database import Database

Row = dict[str, Any]
Key = tuple[str, ...]

_CHUNK = 400
"""Keys in one ``IN`` list: two parameters each stay below SQLite's old limit of 999."""
_REMEMBERED = 20_000
"""Rows of devices; two kilobytes each. At the limit all are forgotten."""

_json = msgspec.json.Encoder().encode


class Rows:
    """Rows of one database; one transaction at a time uses them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._devices: dict[Key, Row] = {}
        self._statements: dict[str, tuple[str, bool]] = {}

    def load(self, db: Connection, table: Table, keys: Sequence[Key]) -> dict[Key, Row]:
        """Return the rows that exist, to be changed and saved."""
        found: dict[Key, Row] = {}
        if table is tables.devices and self._devices:
            for key in keys:
                row = self._devices.pop(key, None)
                if row is not None:
                    found[key] = row
            keys = [key for key in keys if key not in found]
        columns = list(table.primary_key.columns)
        for start in range(0, len(keys), _CHUNK):
            query = select(table).where(tuple_(*columns).in_(keys[start : start + _CHUNK]))
            if self._database.shared:
                query = query.order_by(*columns).with_for_update()
            for row in ask(db, query):
                found[tuple(row[c.name] for c in columns)] = row
        return found

    def save(self, db: Connection, table: Table, rows: Mapping[Key, Row]) -> None:
        """Write rows, new ones and changed ones."""
        if not rows:
            return
        names = [c.name for c in table.columns]
        texts = [c.name for c in table.columns if isinstance(c.type, JSON)]
        # One order everywhere, so that two collectors on one database never lock crosswise.
        ready = [dict(rows[key]) for key in sorted(rows)]
        for row in ready:
            for name in texts:
                row[name] = _json(row[name]).decode()
        statement, positional = self._statement(table)
        if positional:
            db.exec_driver_sql(statement, [tuple(map(row.__getitem__, names)) for row in ready])
        else:
            db.exec_driver_sql(statement, ready)

    def remember(self, rows: Mapping[Key, Row]) -> None:
        """Keep rows of devices as they were committed."""
        if self._database.shared:
            return
        if len(self._devices) + len(rows) > _REMEMBERED:
            self._devices.clear()
        self._devices.update(rows)

    def _statement(self, table: Table) -> tuple[str, bool]:
        """Return what writes a row, and whether its parameters go by place."""
        made = self._statements.get(table.name)
        if made is None:
            statement = self._database.insert(table)
            keys = [c.name for c in table.primary_key.columns]
            rest = [c.name for c in table.columns if c.name not in keys]
            values = {name: statement.excluded[name] for name in rest}
            statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
            names = [c.name for c in table.columns]
            compiled = statement.compile(dialect=self._database.dialect, column_keys=names)
            made = self._statements[table.name] = str(compiled), compiled.positional
        return made


def ask(db: Connection, query: Select[Any]) -> list[Row]:
    """Return what a query finds, a dict each."""
    found = db.execute(query)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]
