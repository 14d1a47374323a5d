"""The spool: a durable, append-only log in one SQLite file, with named consumers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from gateway_core.clock import Clock, wall_ns
from gateway_core.model import Batch, Loss, Receipt, Record, Refusal
from gateway_core.spool.shapes import Books, Quarantined, Span, SpoolOptions


class Spool:
    """A durable log with named consumers; made by `open_spool`.

    Attributes:
        path: The SQLite file.
        owner: Who the spool belongs to; the ``edge`` of the `Loss` records it appends.
        epoch: Random id made when the file was created.
    """

    path: Path
    owner: str
    epoch: str

    @property
    def head(self) -> int:
        """Last committed sequence number; 0 when nothing was ever appended."""
        raise RuntimeError

    async def append(
        self,
        records: Sequence[Record],
        refused: Sequence[Refusal] = (),
        *,
        source: str,
        state: Mapping[str, bytes | None] | None = None,
        replayed: Iterable[int] = (),
    ) -> Span | None:
        """Commit ``records``, ``refused`` and ``state`` together; return the records' numbers.

        When this returns, all survive a power cut; only then may their sender be thanked.

        Args:
            records: In order; an empty sequence is fine.
            refused: Payloads that could not be read.
            source: Whose ``accepted`` counter grows, for example ``mqtt:site``.
            state: Keys to set (or, with None, to delete) in the same transaction.
            replayed: Ids of refused payloads to delete in the same transaction.

        Returns:
            None when ``records`` is empty.

        Raises:
            SpoolFull: The budget is used up; nothing of this append was stored.
            Unavailable: The disk failed; nothing of this append was stored.
            PayloadError: ``unstorable``: a record cannot be written (an integer beyond 64 bits).
        """
        raise RuntimeError

    async def register(self, consumer: str) -> None:
        """Create the consumer's cursor before the oldest record held; nothing if it exists."""
        raise RuntimeError

    async def forget(self, consumer: str) -> None:
        """Delete a consumer that no longer exists, so that it holds nothing back."""
        raise RuntimeError

    async def read(self, consumer: str, limit: int, *, linger_s: float = 0.0) -> Batch:
        """Return 1 to ``limit`` consecutive unsettled records, oldest first.

        Waits for the first one; then up to ``linger_s`` for ``limit`` of them. Never spans a hole.
        """
        raise RuntimeError

    async def read_after(self, seq: int, limit: int) -> Batch | None:
        """Return the oldest records with numbers above ``seq``, or None when there is none yet."""
        raise RuntimeError

    async def settle(
        self,
        consumer: str,
        first: int,
        last: int,
        receipt: Receipt = Receipt(),  # noqa: B008  # frozen
    ) -> None:
        """Enter what became of the records ``first`` to ``last``, in one transaction.

        May be out of order: what lies beyond the cursor is kept beside it, `read` skips it.
        Settling what is settled changes nothing.

        Raises:
            SpoolFull: ``receipt.append`` does not fit; nothing was settled.
            Unavailable: The disk failed; nothing was settled.
        """
        raise RuntimeError

    async def grown(self, seq: int) -> None:
        """Wait until `head` is above ``seq``."""
        raise RuntimeError

    def settled(self, consumer: str) -> int:
        """Return the consumer's cursor: everything up to it is settled."""
        raise RuntimeError

    async def books(self) -> Books:
        """Count everything; see `Books`."""
        raise RuntimeError

    async def state(self, prefix: str = "") -> dict[str, bytes]:
        """Return the keys that start with ``prefix``."""
        raise RuntimeError

    async def refusals(
        self, limit: int, after_id: int = 0, reason: str | None = None
    ) -> list[tuple[int, Refusal]]:
        """Return up to ``limit`` refused payloads with ids above ``after_id``, oldest first."""
        raise RuntimeError

    async def discard_refusals(self, ids: Iterable[int]) -> int:
        """Delete refused payloads; return how many there were."""
        raise RuntimeError

    async def quarantined(
        self, limit: int, after_id: int = 0, consumer: str | None = None
    ) -> list[Quarantined]:
        """Return up to ``limit`` quarantined records with ids above ``after_id``, oldest first."""
        raise RuntimeError

    async def verify(self) -> list[Loss]:
        """Check every segment; return the losses that this found (and recorded)."""
        raise RuntimeError

    async def tidy(self) -> int:
        """Apply retention now; return how many segments went. Runs by itself now and then."""
        raise RuntimeError


@contextlib.asynccontextmanager
async def open_spool(
    path: Path,
    owner: str,
    options: SpoolOptions = SpoolOptions(),  # noqa: B008  # frozen
    clock: Clock = wall_ns,
) -> AsyncIterator[Spool]:
    """Open the spool at ``path``, creating it (and its folder) if need be.

    Raises:
        ConfigError: SQLite is older than 3.51.3, or another process has the spool open.
        Unavailable: The disk does not allow it.
    """
    del path, owner, options, clock
    yield Spool()
