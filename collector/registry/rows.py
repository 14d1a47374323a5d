"""Rows as they stand in the registry's database: loaded by key, written many at once.

Rows of devices are remembered where no other program changes them, because a device that spoke will
speak again; those that a transaction took are forgotten until it is known to be committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection, Select, Table, and_, bindparam, select, tuple_, update

from collector.registry import tables
from collector.registry.database import Database

Row = dict[str, Any]
Key = tuple[str, ...]

_CHUNK = 400
"""Keys in one ``IN`` list: two parameters each stay below SQLite's old limit of 999."""
_REMEMBERED = 20_000
"""Rows of devices; two kilobytes each. At the limit all are forgotten."""

_SPOKEN = ("last_seen", "readings", "latest", "seq")
"""What readings change of a device's row each time. Where nothing else changed, an UPDATE of these
costs half as much as a whole row: only one of four indexes has to follow."""

_json = msgspec.json.Encoder().encode
_rest = itemgetter(*[c.name for c in tables.devices.columns if c.name not in _SPOKEN])


class Rows:
    """Rows of one database; one transaction at a time uses them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._devices: dict[Key, Row] = {}
        self._loaded: dict[Key, object] = {}
        self._statements: dict[tuple[str, bool], tuple[str, list[str] | None]] = {}

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
        if table is tables.devices:
            self._loaded = {key: _rest(row) for key, row in found.items()}
        return found

    def save(self, db: Connection, table: Table, rows: Mapping[Key, Row]) -> None:
        """Write rows, new ones and changed ones, after `load` was asked for the same."""
        # One order everywhere, so that two collectors on one database never lock crosswise.
        keys = sorted(rows)
        if table is tables.devices:
            loaded, self._loaded = self._loaded, {}
            spoken = [key for key in keys if loaded.get(key) == _rest(rows[key])]
            self._write(db, table, [rows[key] for key in spoken], spoken=True)
            keys = sorted(set(keys).difference(spoken))
        self._write(db, table, [rows[key] for key in keys])

    def _write(
        self, db: Connection, table: Table, rows: Sequence[Row], *, spoken: bool = False
    ) -> None:
        if not rows:
            return
        statement, names = self._statement(table, spoken=spoken)
        texts = [c.name for c in table.columns if isinstance(c.type, JSON)]
        ready = [dict(row) for row in rows]
        for row in ready:
            for name in texts:
                row[name] = _json(row[name]).decode()
        if names is not None:
            db.exec_driver_sql(statement, [*map(itemgetter(*names), ready)])
        else:
            db.exec_driver_sql(statement, ready)

    def remember(self, rows: Mapping[Key, Row]) -> None:
        """Keep rows of devices as they were committed."""
        if self._database.shared:
            return
        if len(self._devices) + len(rows) > _REMEMBERED:
            self._devices.clear()
        self._devices.update(rows)

    def _statement(self, table: Table, *, spoken: bool) -> tuple[str, list[str] | None]:
        """Return what writes a row, and its parameters' order where they go by place."""
        made = self._statements.get((table.name, spoken))
        if made is None:
            keys = list(table.primary_key.columns)
            names = [c.name for c in table.columns]
            if spoken:
                mine = and_(*[key == bindparam(key.name) for key in keys])
                change = update(table).where(mine).values({n: bindparam(n) for n in _SPOKEN})
                compiled = change.compile(dialect=self._database.dialect)
            else:
                statement = self._database.insert(table)
                rest = [name for name in names if name not in table.primary_key.columns]
                values = {name: statement.excluded[name] for name in rest}
                statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
                compiled = statement.compile(dialect=self._database.dialect, column_keys=names)
            made = str(compiled), compiled.positiontup
            self._statements[table.name, spoken] = made
        return made


def ask(db: Connection, query: Select[Any]) -> list[Row]:
    """Return what a query finds, a dict each."""
    found = db.execute(query)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]
