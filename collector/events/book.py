"""The book of events: opened by alarms or people, moved on by people, every step on record.

One alarm raised is one event, named by (edge, device, rule, time raised), however often and in
whatever order its records come. Nothing is ever deleted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, insert, or_, select, tuple_, update

from collector.events.shapes import Move, Opening, Wanted
from collector.events.tables import event_clearings, event_steps, events
from collector.events.workflow import CLOSED, link, step
from collector.registry.database import Database
from gateway_core.clock import Clock
from gateway_core.errors import GatewayError, PayloadError, Unavailable
from gateway_core.model import Alarm
from gateway_core.time_marks import heard

Row = dict[str, Any]

ALARM = "alarm"
PERSON = "person"
_AT_ONCE = 300
"""Alarms in one statement: three parameters each stay below SQLite's old limit of 999."""


class Outdated(GatewayError):
    """The event changed since the version that the caller saw."""


class EventBook:
    """Events in a registry's database."""

    def __init__(self, database: Database, clock: Clock, make_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._make_id = make_id

    async def notice(self, alarms: Sequence[Alarm]) -> None:
        """Open events for alarms raised and note those cleared, in one transaction.

        Raises:
            Unfit: The database can never hold one of them; nothing was changed.
            Unavailable: The database does not answer; nothing was changed.
        """

        def work(db: Connection) -> None:
            for state, group in itertools.groupby(alarms, lambda alarm: alarm.state):
                if state == "raised":
                    waiting = list(group)
                    for first in range(0, len(waiting), _AT_ONCE):
                        self._raise(db, waiting[first : first + _AT_ONCE])
                else:
                    for alarm in group:
                        self._clear(db, alarm)

        try:
            await self._database.change(work)
        except Outdated as exc:  # a person was faster, through another collector
            raise Unavailable(str(exc)) from exc

    async def open(self, opening: Opening) -> Row:
        """Open an event by hand; return it with its steps."""
        now, name = self._clock(), self._make_id()

        def work(db: Connection) -> Row:
            about = {"edge": opening.edge, "device": opening.device, "rule": opening.rule}
            rest = {"severity": opening.severity, "text": opening.text, "raised": now}
            row = about | rest | {"id": name, "source": PERSON, "profile": "", "cleared": None}
            row["mark"] = ""
            self._insert(db, [row], opening.actor, opening.comment)
            return _whole(db, name) or row

        return await self._database.change(work)

    async def move(self, event: str, move: Move) -> Row | None:
        """Take one step; return the event with its steps, or None where there is no such event.

        Raises:
            WrongStep: The step may not follow the event's state.
            Outdated: The event changed since ``move.version``.
            Unavailable: The database does not answer; nothing was changed.
        """

        def work(db: Connection) -> Row | None:
            row = _one(db, event)
            if row is None:
                return None
            if move.version is not None and move.version != row["version"]:
                raise Outdated(f"the event is at version {row['version']}, not {move.version}")
            state = step(row["state"], move.action)
            reopened = row["reopened"] + (move.action == "reopen")
            change = {"state": state, "assignee": move.assignee or row["assignee"]}
            self._advance(db, row, change | {"reopened": reopened}, move)
            return _whole(db, event)

        return await self._database.change(work)

    async def get(self, event: str) -> Row | None:
        """Return an event with its ``steps``, oldest first; None where there is none."""
        return await self._database.ask(lambda db: _whole(db, event))

    async def page(self, wanted: Wanted) -> tuple[list[Row], str | None]:
        """Return one page of events, newest first, and the cursor of the next.

        Raises:
            PayloadError: ``bad_cursor``: the cursor is not one that a page returned.
            Unavailable: The database does not answer.
        """
        query = select(events).order_by(events.c.raised.desc(), events.c.id.desc())
        for name in ("state", "edge", "device", "severity", "assignee"):
            value = getattr(wanted, name)
            if value is not None:
                query = query.where(events.c[name] == value)
        if wanted.closed is not None:
            is_closed = events.c.state == CLOSED
            query = query.where(is_closed if wanted.closed else ~is_closed)
        if wanted.cursor is not None:
            raised, name = _position(wanted.cursor)
            before = and_(events.c.raised == raised, events.c.id < name)
            query = query.where(or_(events.c.raised < raised, before))
        query = query.limit(wanted.limit + 1)
        rows = await self._database.ask(lambda db: [dict(r) for r in db.execute(query).mappings()])
        more, rows = len(rows) > wanted.limit, rows[: wanted.limit]
        return rows, _cursor(rows[-1]) if more else None

    def _raise(self, db: Connection, alarms: Sequence[Alarm]) -> None:
        """Open the events that these alarms name and that are not there."""
        named = {event_id(alarm): alarm for alarm in alarms}
        known = set(db.execute(select(events.c.id).where(events.c.id.in_(named))).scalars())
        c = event_clearings.c
        rules = {(alarm.edge, alarm.device, alarm.rule) for alarm in alarms}
        query = select(c.edge, c.device, c.rule, c.time)
        found = db.execute(query.where(tuple_(c.edge, c.device, c.rule).in_(sorted(rules))))
        last = {(edge, device, rule): time for edge, device, rule, time in found}
        rows = []
        for name, alarm in named.items():
            if name in known:
                continue
            at = last.get((alarm.edge, alarm.device, alarm.rule))
            row: Row = {"id": name, "source": ALARM, "edge": alarm.edge, "device": alarm.device}
            row |= {"rule": alarm.rule, "profile": alarm.profile, "severity": alarm.severity}
            raised = heard(alarm, self._clock).time
            row |= {"text": dict(alarm.text), "raised": raised, "mark": alarm.mark}
            row["cleared"] = at if at is not None and at >= raised else None
            rows.append(row)
        self._insert(db, rows, ALARM, "")

    def _clear(self, db: Connection, alarm: Alarm) -> None:
        about = {"edge": alarm.edge, "device": alarm.device, "rule": alarm.rule}
        at = heard(alarm, self._clock).time
        statement = self._database.insert(event_clearings).values(**about, time=at)
        newest = statement.on_conflict_do_update(
            index_elements=list(about),
            set_={"time": statement.excluded.time},
            where=event_clearings.c.time < statement.excluded.time,
        )
        db.execute(newest)
        query = select(events).where(*(events.c[key] == about[key] for key in about))
        query = query.where(events.c.raised <= at).order_by(events.c.raised.desc())
        found = db.execute(query.limit(1)).mappings().first()
        if found is not None and (found["cleared"] is None or found["cleared"] > at):
            self._advance(db, dict(found), {"cleared": at}, None)

    def _insert(self, db: Connection, rows: Sequence[Row], actor: str, comment: str) -> None:
        """Insert events and their first steps; what another collector was faster with stays."""
        if not rows:
            return
        blank = {"state": "open", "assignee": "", "reopened": 0, "version": 1}
        whole = {row["id"]: row | blank | {"updated": self._clock()} for row in rows}
        statement = self._database.insert(events).on_conflict_do_nothing()
        fresh = db.execute(statement.returning(events.c.id), list(whole.values())).scalars()
        steps = [_step(whole[name], "open", actor, comment, "") for name in fresh]
        if steps:
            db.execute(insert(event_steps), steps)

    def _advance(self, db: Connection, row: Row, change: Row, move: Move | None) -> None:
        """Change one event that is at ``row["version"]``, and enter the step.

        Raises:
            Outdated: Somebody else was faster.
        """
        seen, now = row["version"], self._clock()
        change = change | {"version": seen + 1, "updated": now}
        query = update(events).where(events.c.id == row["id"], events.c.version == seen)
        if db.execute(query.values(**change)).rowcount != 1:
            raise Outdated("somebody else changed the event just now; read it again")
        before = select(event_steps.c.digest).where(
            event_steps.c.event == row["id"], event_steps.c.version == seen
        )
        previous = db.execute(before).scalar() or ""
        action = move.action if move else "clear"
        actor, comment = (move.actor, move.comment) if move else (ALARM, "")
        taken = _step(row | change, action, actor, comment, previous)
        db.execute(insert(event_steps), [taken])


def event_id(alarm: Alarm) -> str:
    """Return the id of the event that a raised alarm opens: the same for the same alarm."""
    named = msgspec.json.encode([alarm.edge, alarm.device, alarm.rule, alarm.time])
    return f"ev-{hashlib.blake2b(named, digest_size=10).hexdigest()}"


def intact(steps: Sequence[Row]) -> bool:
    """Return whether every step's digest covers it and the one before."""
    previous = ""
    for place, found in enumerate(steps, 1):
        entry = {key: value for key, value in found.items() if key != "digest"}
        if found["version"] != place or found["digest"] != link(previous, entry):
            return False
        previous = found["digest"]
    return True


def _step(row: Row, action: str, actor: str, comment: str, previous: str) -> Row:
    """Return the audit row of what just happened to an event."""
    entry = {"event": row["id"], "version": row["version"], "action": action}
    entry |= {"state": row["state"], "actor": actor, "comment": comment}
    entry |= {"assignee": row["assignee"], "time": row["updated"]}
    return entry | {"digest": link(previous, entry)}


def _one(db: Connection, event: str) -> Row | None:
    row = db.execute(select(events).where(events.c.id == event)).mappings().first()
    return dict(row) if row is not None else None


def _whole(db: Connection, event: str) -> Row | None:
    row = _one(db, event)
    if row is not None:
        query = select(event_steps).where(event_steps.c.event == event)
        found = db.execute(query.order_by(event_steps.c.version)).mappings()
        row["steps"] = [dict(each) for each in found]
    return row


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([row["raised"], row["id"]])).decode()


def _position(cursor: str) -> tuple[int, str]:
    try:
        raised, name = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[int, str])
    except (ValueError, binascii.Error) as exc:
        raise PayloadError("bad_cursor", "give `next` of the page before, unchanged") from exc
    return raised, name
