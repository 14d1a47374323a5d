"""The ``mirror`` sink: what this collector accepted goes to a second one, as the edges sent it.

Records keep edge, epoch and sequence number, so that the second collector takes each once however
it came: from here, from the edge itself, or twice. It has a cursor of its own; what the second site
has not taken stays in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise

import msgspec
import structlog

from collector.config import MirrorSection
from collector.provenance import STATE, key, last_key, uploads
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.link import Link, LinkOptions
from gateway_core.model import Batch, Receipt, Rejection
from gateway_core.spool import Spool
from gateway_core.wire import MIRROR_HEADER, Upload, decode_receipt, encode_upload

log = structlog.get_logger()

_OF_A_RECORD = {400, 413, 422}
_HINTS = {
    401: "check mirror.token_file",
    403: "list mirror.name under intake.mirrors there, and check mirror.cert_file",
    404: "mirror.url is not a collector's intake",
}


class Mirror:
    """Sink ``mirror``.

    Args:
        name: Of this collector, as the second one lists it.
        spool: Whose records come.
        link: To the second collector.
    """

    name = "mirror"

    def __init__(self, name: str, spool: Spool, link: Link) -> None:
        self._headers = {MIRROR_HEADER: name}
        self._spool = spool
        self._link = link
        self._accepted = False

    async def send(self, batch: Batch) -> Receipt:
        """Pass a batch on.

        Raises:
            Unavailable: The second collector did not take all of it.
        """
        kept = await self._spool.state_between(key(batch.first, 0), last_key(batch.last))
        kept = {name: data for name, data in kept.items() if name.startswith(STATE)}
        made, strange, done = uploads(kept, batch.first, batch.records)
        rejected: list[Rejection] = []
        for upload in made:
            rejected += await self._deliver(upload, batch)
        return Receipt(
            rejected=tuple(sorted(rejected, key=lambda one: one.seq)),
            dropped={"no_origin": strange} if strange else {},
            state=dict.fromkeys(done),
        )

    async def _deliver(self, upload: Upload, batch: Batch) -> list[Rejection]:
        """Send an upload, in halves if it must be; return what will never be taken."""
        try:
            body = await asyncio.to_thread(encode_upload, upload)
        except PayloadError as exc:
            return await self._halve(upload, batch, exc.code)
        answer = await self._link.post(body, self._headers)
        if answer.status in {200, 202}:
            try:
                decode_receipt(answer.body)
            except PayloadError as exc:
                raise Unavailable(f"mirror {self._link.url}: not a receipt: {exc}") from exc
            self._accepted = self._accepted or bool(upload.records)
            return []
        if answer.status not in _OF_A_RECORD:
            hint = _HINTS.get(answer.status, "it is retried")
            raise Unavailable(f"mirror {self._link.url}: status {answer.status}; {hint}")
        return await self._halve(upload, batch, f"http_{answer.status}")

    async def _halve(self, upload: Upload, batch: Batch, reason: str) -> list[Rejection]:
        count = len(upload.records)
        if count < 2:
            if not count or not self._accepted:
                raise Unavailable(f"mirror {self._link.url} refuses everything: {reason}")
            (record,) = upload.records
            at = next(n for n, each in enumerate(batch.records) if each is record)
            log.warning("record_not_mirrored", edge=upload.edge, seq=upload.seqs[0], why=reason)
            return [Rejection(batch.first + at, reason, "refused by the second collector")]
        middle = count // 2
        cuts = (upload.first, upload.seqs[middle], upload.last + 1)
        rejected: list[Rejection] = []
        for half, (first, end) in enumerate(pairwise(cuts)):
            part = slice(0, middle) if half == 0 else slice(middle, None)
            one = msgspec.structs.replace(
                upload,
                first=first,
                last=end - 1,
                seqs=upload.seqs[part],
                records=upload.records[part],
                withheld=upload.withheld if half == 0 else {},
            )
            rejected += await self._deliver(one, batch)
        return rejected


@contextlib.asynccontextmanager
async def open_mirror(section: MirrorSection | None, spool: Spool) -> AsyncIterator[Mirror | None]:
    """Give the sink; without a section take back what an earlier one left in the spool.

    Raises:
        Unavailable: The disk failed.
    """
    if section is None:
        await spool.forget(Mirror.name)
        held = await spool.state(STATE)
        if held:
            await spool.append((), source="agent", state=dict.fromkeys(held))
        yield None
        return
    await spool.register(Mirror.name)
    options = LinkOptions(
        section.url, section.ca_file, section.cert_file, section.key_file, section.token_file
    )
    async with Link(options) as link:
        yield Mirror(section.name, spool, link)
