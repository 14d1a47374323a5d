"""The uplink sink: what the policy releases goes to the collector, entered in the ledger first.

Invariants (tests/edge_agent/egress/test_egress_uplink.py):

* no byte of a record reaches the link that `Policy.release` did not return;
* a batch leaves only after its ledger entry is on disk;
* a batch is settled only after the collector's receipt; what it will never accept is found by
  halving the batch and goes to quarantine, and only when the collector accepts other records.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise

import msgspec
import structlog

from edge_agent.complaint import hint, of_a_record, refusal_code
from edge_agent.covered import MOST_RANGES, Covered, added, recalled
from edge_agent.ledger import Departure, Ledger
from edge_agent.policy import Policy, Released
from edge_agent.report import SelfReport
from edge_agent.thinning import REASON, Moves, Thinning
from edge_agent.throttle import Throttle
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.link import Answer, Link
from gateway_core.model import Batch, Receipt, Rejection
from gateway_core.spool import Spool
from gateway_core.wire import (
    REFILL_HEADER,
    SETTLED_HEADER,
    Ask,
    Progress,
    Upload,
    decode_receipt,
    encode_upload,
)

log = structlog.get_logger()

STATE_COVERED = "uplink/covered"
"""Spool state: ranges that the collector has not heard of yet."""
STATE_LEDGER = "uplink/ledger"
"""Spool state: the ledger's end at the last settled batch; what `edge_agent.audit` anchors to."""

_TELL_NS = 10 * NS
_MOST_SUSPECTS = 64
_MOST_REFUSALS = 200


@dataclass(slots=True)
class _Sending:
    """One call of `Uplink.send`: what was accepted and refused on the way."""

    accepted: int = 0
    refusals: int = 0
    refill: Progress | None = None
    rejected: list[Rejection] = field(default_factory=list)
    suspects: list[tuple[Upload, str]] = field(default_factory=list)


class Uplink:
    """Sink ``uplink``.

    Args:
        edge: This edge's id.
        spool: Whose records go; its epoch names them.
        policy: The rules of now; `adopt` puts others in their place.
        ledger: Where everything that leaves is entered.
        link: To the collector.
        clock: The edge's clock.
        throttle: Paces what leaves.
        state: What the spool holds under `STATE_COVERED`; empty for nothing.

    Attributes:
        report: What the edge says of itself beside each upload.
        asked: Is told what each receipt asks for.
    """

    name = "uplink"

    def __init__(
        self,
        edge: str,
        spool: Spool,
        policy: Policy,
        ledger: Ledger,
        link: Link,
        clock: Clock = wall_ns,
        state: bytes = b"",
        throttle: Throttle | None = None,
    ) -> None:
        self._edge = edge
        self._spool = spool
        self._policy = policy
        self._ledger = ledger
        self._link = link
        self._clock = clock
        self._throttle = throttle or Throttle(None)
        self.report = SelfReport(spool, self.name)
        self.asked: Callable[[list[Ask]], None] = lambda _asks: None
        self._thinning = Thinning(spool.head)
        self._turn = asyncio.Lock()
        self._untold = recalled(state)
        self._told_at = 0
        self._suspected = -1  # in a row since the last record was accepted; -1: none ever was
        self._complained = 0

    def adopt(self, policy: Policy) -> None:
        """Use other rules from the next batch on."""
        self._policy = policy
        self._thinning.doubt()

    async def send(self, batch: Batch) -> Receipt:
        """Release, enter and send a batch.

        Raises:
            Unavailable: The collector did not take all of it; it comes again.
        """
        async with self._turn:
            return await self._send(batch)

    async def beat(self) -> None:
        """Tell the collector that this edge is there, with an upload of nothing new.

        Raises:
            Unavailable: The collector does not answer.
        """
        settled = self._spool.settled(self.name)
        if not settled:
            return  # nothing was ever sent that could be named again
        async with self._turn:
            upload = Upload(self._edge, self._spool.epoch, settled, settled, [], [])
            await self._deliver(upload, _Sending(), 0)

    @property
    def told(self) -> int:
        """Everything up to this number was delivered, and the collector knows what stayed."""
        try:
            settled = self._spool.settled(self.name)
        except Unavailable:  # nobody forwards to this sink yet
            return 0
        waiting = self._untold.all()
        return min(settled, waiting[0].first - 1) if waiting else settled

    async def resend(self, epoch: str, released: Released, refill: Progress) -> None:
        """Send what was sent before; the spool's books stay as they are.

        Args:
            epoch: That the sequence numbers belong to.
            released: By the policy of now; its range is accounted for whole.
            refill: What it answers.

        Raises:
            Unavailable: The collector did not take all of it.
        """
        sending, edge = _Sending(refill=refill), self._edge
        seqs, records, held = released.seqs, released.records, released.withheld
        async with self._turn:
            upload = Upload(edge, epoch, released.first, released.last, seqs, records, held)
            await self._deliver(upload, sending, released.trimmed)
            if sending.suspects and not sending.accepted:
                raise Unavailable(f"collector {self._link.url} refuses every record")
            for one, _ in sending.suspects:
                held = added(one.withheld, {"rejected": 1})
                bare = Upload(edge, epoch, one.first, one.last, [], [], held)
                await self._deliver(bare, sending, 0)

    async def _send(self, batch: Batch) -> Receipt:
        policy = self._policy
        released, moves = await asyncio.to_thread(self._released, policy, batch)
        sending = _Sending()
        try:
            await self._dispatch(released, sending)
            await self._tell(sending)
        except BaseException:
            self._thinning.lost(moves)
            if policy is not self._policy:
                self._thinning.doubt()
            raise
        self._thinning.received(moves, frozenset(each.seq for each in sending.rejected))
        thinned = released.withheld.get(REASON, 0)
        dropped = {"policy": released.withheld_count - thinned, REASON: thinned}
        return Receipt(
            rejected=tuple(sending.rejected),
            dropped={reason: count for reason, count in dropped.items() if count},
            state={
                STATE_COVERED: self._untold.encode(),
                STATE_LEDGER: str(self._ledger.durable).encode(),
            },
        )

    def _released(self, policy: Policy, batch: Batch) -> tuple[Released, Moves]:
        """Return what of a batch may leave and is worth it; blocks."""
        released = policy.release(batch)
        if not policy.thins:
            return released, Moves(batch.first, batch.last)
        return self._thinning.thin(released, policy)

    async def _dispatch(self, released: Released, sending: _Sending) -> None:
        """Send what is left of a batch, or note that nothing of it leaves."""
        if not released.records:
            self._untold.add(released.first, released.last, released.withheld)
            return
        lead = self._untold.before(released.first)
        upload = Upload(
            edge=self._edge,
            epoch=self._spool.epoch,
            first=lead.first if lead else released.first,
            last=released.last,
            seqs=released.seqs,
            records=released.records,
            withheld=added(lead.withheld if lead else {}, released.withheld),
        )
        await self._deliver(upload, sending, released.trimmed)
        self._judge(sending, lead)

    async def _tell(self, sending: _Sending) -> None:
        """Tell the collector what stays on site, when it is time or too much to remember."""
        waited = self._clock() - self._told_at
        if not len(self._untold) or (0 <= waited < _TELL_NS and len(self._untold) < MOST_RANGES):
            return
        for one in self._untold.all():
            upload = Upload(
                self._edge, self._spool.epoch, one.first, one.last, [], [], one.withheld
            )
            await self._deliver(upload, sending, 0)
            self._untold.drop([one])
        self._told_at = self._clock()

    async def _deliver(self, upload: Upload, sending: _Sending, trimmed: int) -> None:
        """Send an upload, in halves if it must be; what came of it is in ``sending``."""
        try:
            body = await asyncio.to_thread(encode_upload, upload)
        except PayloadError as exc:
            await self._halve(upload, sending, exc.code)
            return
        answer = await self._post(upload, body, trimmed, sending.refill)
        if len(upload.records) == 1 and of_a_record(answer.status, answer.body):
            sending.refusals += 1
            answer = await self._post(upload, body, trimmed, sending.refill)  # garbled on its way?
        if answer.status in {200, 202}:
            self._accepted(upload, answer, sending)
            return
        if not of_a_record(answer.status, answer.body):
            raise Unavailable(self._complaint(answer))
        sending.refusals += 1
        if sending.refusals > _MOST_REFUSALS and not sending.accepted:
            raise Unavailable(self._complaint(answer))
        await self._halve(upload, sending, refusal_code(answer.status, answer.body))

    async def _post(
        self, upload: Upload, body: bytes, trimmed: int, refill: Progress | None
    ) -> Answer:
        """Enter an upload in the ledger, send it, and enter what came of it."""
        await self._throttle.admit(len(body), upload.last - upload.first + 1)
        kinds = Counter(map(type, upload.records))
        number = await self._ledger.enter(
            Departure(
                to=self._link.url,
                epoch=upload.epoch,
                first=upload.first,
                last=upload.last,
                bytes=len(body),
                sha256=sha256(body).hexdigest(),
                records={kind.__name__: count for kind, count in kinds.items()},
                withheld=upload.withheld,
                trimmed=trimmed,
                again=refill is not None,
            )
        )
        headers = {**await self.report.headers(), SETTLED_HEADER: str(self.told)}
        if refill is not None:
            headers[REFILL_HEADER] = str(refill)
        try:
            answer = await self._link.post(body, headers)
        except Unavailable as exc:
            await self._ledger.mark(number, "unavailable", str(exc))
            raise
        accepted = answer.status in {200, 202}
        await self._ledger.mark(number, "accepted" if accepted else "refused", str(answer.status))
        return answer

    def _accepted(self, upload: Upload, answer: Answer, sending: _Sending) -> None:
        try:
            receipt = decode_receipt(answer.body)
        except PayloadError as exc:
            raise Unavailable(f"collector {self._link.url}: not a receipt: {exc}") from exc
        self.asked(receipt.asks)
        sent = set(upload.seqs) if receipt.refused else ()
        refused = [(seq, why) for seq, why in receipt.refused if seq in sent]
        sending.rejected.extend(
            Rejection(seq, why, "refused by the collector") for seq, why in refused
        )
        if len(upload.records) > len(refused):
            sending.accepted += 1
            self._suspected = 0
        self._complained = 0

    async def _halve(self, upload: Upload, sending: _Sending, reason: str) -> None:
        """Send both halves of an upload that was refused; suspect it when it is one record."""
        if not upload.records:
            raise Unavailable(f"collector {self._link.url} refused an upload without records")
        if len(upload.records) == 1:
            sending.suspects.append((upload, reason))
            return
        middle = len(upload.records) // 2
        cuts = (upload.first, upload.seqs[middle], upload.last + 1)
        parts = (slice(0, middle), slice(middle, None))
        counts: tuple[dict[str, int], ...] = (upload.withheld, {})
        for (first, end), part, withheld in zip(pairwise(cuts), parts, counts, strict=True):
            half = msgspec.structs.replace(
                upload,
                first=first,
                last=end - 1,
                seqs=upload.seqs[part],
                records=upload.records[part],
                withheld=withheld,
            )
            await self._deliver(half, sending, 0)

    def _judge(self, sending: _Sending, lead: Covered | None) -> None:
        """Reject the suspects, unless the collector refuses everything."""
        suspects = sending.suspects
        if suspects and not sending.accepted:
            if self._suspected < 0 or self._suspected + len(suspects) > _MOST_SUSPECTS:
                raise Unavailable(f"collector {self._link.url} refuses every record")
            self._suspected += len(suspects)
        self._untold.drop([lead] if lead else [])
        for upload, reason in suspects:
            (seq,) = upload.seqs
            sending.rejected.append(Rejection(seq, reason, "refused by the collector"))
            self._untold.add(upload.first, upload.last, added(upload.withheld, {"rejected": 1}))
            log.warning("record_rejected", seq=seq, reason=reason)

    def _complaint(self, answer: Answer) -> str:
        """Return what to say about an answer that is nobody's fault here; log it once."""
        todo = hint(answer.status, refusal_code(answer.status, answer.body))
        if answer.status != self._complained:
            self._complained = answer.status
            log.warning("upload_refused", status=answer.status, hint=todo)
        return f"collector {self._link.url}: status {answer.status}; {todo}"
