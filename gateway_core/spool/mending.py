"""A cursor that claims more than its counters account for was altered: it goes back, not on.

One altered bit in a cursor would skip records in silence. But cursor and counters are written in
one transaction, and `accepted = delivered + buffered + quarantined + dropped` ties them together.
Going back costs records that are sent again, which changes nothing; going on costs records.
"""

from __future__ import annotations

import apsw
import structlog

from gateway_core.spool import rows, schema

log = structlog.get_logger()

_ACCEPTED = "SELECT sum(n) FROM counter WHERE kind = 'accepted'"
_STARTED = "SELECT started FROM consumer WHERE name = ?"
_DONE = (
    "SELECT sum(n) FROM counter WHERE name = ? AND kind IN ('delivered', 'quarantined', 'dropped')"
)


def mend_cursors(db: apsw.Connection) -> None:
    """Put back every cursor that is further on than its counters, as far as records are there."""
    with db:
        head, accepted = rows.head_of(db), schema.number(db, _ACCEPTED)
        oldest = rows.next_first(db, 1) or head + 1
        for name in rows.consumers(db):
            position = rows.load_position(db, name)
            if position is None:
                continue
            ahead = sum(last - first + 1 for first, last in position.runs(head))
            done = schema.number(db, _DONE, (name,))
            skipped = accepted - schema.number(db, _STARTED, (name,)) - done - ahead
            if skipped <= 0:
                continue
            back = min(position.settled, max(oldest - 1, min(position.settled, head) - skipped))
            log.error("cursor_mended", consumer=name, was=position.settled, now=back)
            db.execute("UPDATE consumer SET settled = ? WHERE name = ?", (back, name))
