"""The uplink's bandwidth contract: uploads take no more than so many bits a second.

The budget of a second can be spent at once, and no upload is made longer than a second's worth if
fewer records make it shorter: an alarm or a live value waits behind one upload at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway_core.clock import monotonic

_UNKNOWN = 20.0  # bytes of a record, before anything was sent
_WEIGHT = 0.2


class Throttle:
    """Paces one link; belongs to one event loop.

    Args:
        bits_a_second: The contract; None: no limit.
        time: Seconds on a clock that never jumps.
    """

    def __init__(self, bits_a_second: int | None, time: Callable[[], float] = monotonic) -> None:
        self._bytes_a_second = bits_a_second / 8 if bits_a_second else None
        self._time = time
        self._free_at = time()  # when everything sent so far is paid for
        self._a_record = _UNKNOWN

    def most(self) -> int:
        """Return how many records make an upload of a second, as the last ones were."""
        if self._bytes_a_second is None:
            return 1 << 30
        return max(1, int(self._bytes_a_second / self._a_record))

    async def admit(self, size: int, records: int) -> None:
        """Wait until an upload may leave, and pay for it.

        Args:
            size: Of the upload, in bytes.
            records: That it accounts for.
        """
        if self._bytes_a_second is None:
            return
        if records > 10:
            self._a_record += _WEIGHT * (size / records - self._a_record)
        now = self._time()
        start = max(self._free_at, now)
        self._free_at = start + size / self._bytes_a_second
        await asyncio.sleep(start - now)
