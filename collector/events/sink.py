"""The ``events`` sink: alarms raised become events, alarms cleared are noted on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from collector.events.book import EventBook
from collector.registry.database import Unfit
from collector.registry.judge import judge
from gateway_core.model import Alarm, Batch, Receipt, Rejection

Numbered = Sequence[tuple[int, Alarm]]


class EventSink:
    """Delivers to an `EventBook`; idempotent, since an alarm names its event.

    Alarms of other severities, and records that are no alarms, ask nothing of anybody: they count
    as delivered.
    """

    name = "events"

    def __init__(self, book: EventBook, severities: Collection[str]) -> None:
        self._book = book
        self._severities = frozenset(severities)

    async def send(self, batch: Batch) -> Receipt:
        """Enter the alarms of ``batch``.

        Raises:
            Unavailable: The database does not answer; send again.
        """
        fit: list[tuple[int, Alarm]] = []
        rejected: list[Rejection] = []
        alarms = Alarm in set(map(type, batch.records))
        for seq, record in enumerate(batch.records, batch.first) if alarms else ():
            if type(record) is not Alarm or record.severity not in self._severities:
                continue
            fault = judge(record)
            if fault is None:
                fit.append((seq, record))
            else:
                rejected.append(Rejection(seq, *fault))
        await self._notice(fit, rejected)
        return Receipt(rejected=tuple(sorted(rejected, key=lambda each: each.seq)))

    async def _notice(self, alarms: Numbered, rejected: list[Rejection]) -> None:
        """Enter alarms; what the database itself refuses is found by halving."""
        if not alarms:
            return
        try:
            await self._book.notice([alarm for _, alarm in alarms])
        except Unfit as exc:
            if len(alarms) == 1:
                rejected.append(Rejection(alarms[0][0], "database_refused", str(exc)[:300]))
                return
            middle = len(alarms) // 2
            await self._notice(alarms[:middle], rejected)
            await self._notice(alarms[middle:], rejected)
