"""Records of kinds that only a newer program knows: kept raw, and read once this one knows them.

They come from an edge that was upgraded first. Their numbers are accounted for (``unknown_kind``),
so nothing waits for them; their bytes stay among the refused payloads until a collector that can
read them starts.
"""

from __future__ import annotations

import structlog

from collector.dedupe import EpochBook
from gateway_core.model import Record, Refusal
from gateway_core.spool import Spool
from gateway_core.wire import Upload, decode_foreign

log = structlog.get_logger()

UNKNOWN_KIND = "unknown_kind"
_PAGE = 500


def kept_foreign(upload: Upload, book: EpochBook, now: int) -> list[Refusal]:
    """Return what is to be kept of an upload, each number once.

    Args:
        upload: As it came.
        book: Of its epoch, before it.
        now: Nanoseconds since 1970.
    """
    return [
        Refusal(
            f"edge:{upload.edge}",
            f"{upload.epoch}/{seq}",
            data,
            UNKNOWN_KIND,
            "a kind of record that a newer program made up; kept until this one is upgraded",
            now,
        )
        for seq, data in upload.foreign
        if seq not in book.received
    ]


async def take_up(spool: Spool) -> int:
    """Read what an older program had to keep raw; return how many records that gave.

    Raises:
        Unavailable: The disk failed; what was read so far is stored.
    """
    count = after = 0
    while page := await spool.refusals(_PAGE, after_id=after, reason=UNKNOWN_KIND):
        after = page[-1][0]
        for source in dict.fromkeys(refusal.source for _, refusal in page):
            found: list[tuple[int, Record]] = []
            for number, refusal in page:
                record = decode_foreign(refusal.payload) if refusal.source == source else None
                if record is not None:
                    found.append((number, record))
            if found:
                records, numbers = [r for _, r in found], [n for n, _ in found]
                await spool.append(records, source=source, replayed=numbers)
                count += len(found)
    if count:
        log.info("unknown_kinds_read", records=count)
    return count
