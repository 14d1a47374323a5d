"""A draft: what one append is going to store, while the arrivals are read."""

from __future__ import annotations

from dataclasses import dataclass, field

from device_profiles.codecs import Ask
from gateway_core.model import Alarm, Listed, ProfileUse, Record, Refusal


@dataclass(slots=True)
class Draft:
    """Collected for one transaction.

    Attributes:
        news: Announcements and alarms. The memory that made them has moved on, so they must be
            stored with the next append if this one fails.
        kept: Spool state of that memory, likewise.
        records: What the arrivals said; read again if this append fails.
        refused: Payloads that could not be read; likewise.
        asks: What decoders would have sent back, by source; sent when all else here is stored.
        bound: Whether a decoder's memory moved on with what is here. Then all of it must be stored
            together, with the next append if this one fails, and no arrival is read again.
    """

    news: list[Listed | Alarm | ProfileUse] = field(default_factory=list)
    kept: dict[str, bytes | None] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    asks: list[tuple[str, Ask]] = field(default_factory=list)
    bound: bool = False

    @property
    def owes(self) -> bool:
        """Whether there is anything that cannot be made again."""
        return bool(self.news or self.kept or self.bound)
