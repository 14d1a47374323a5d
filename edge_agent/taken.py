"""What became of the arrivals of one batch, and who is offered it once it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.arrival import Arrival


class Raw(Protocol):
    """What the pipeline needs of a raw store."""

    def offer(
        self,
        arrivals: Sequence[Arrival],
        received: Sequence[int],
        profiles: Sequence[str],
        refusals: Sequence[str | None],
    ) -> None:
        """Keep what was committed, or do not; never waits, never fails."""


@dataclass(slots=True)
class Taken:
    """What became of the arrivals of one batch, one entry for each.

    Attributes:
        verdicts: None, or the code of the reason why it was refused.
        profiles: The profile that read it; empty where none did.
        received: The receive time that its readings carry.
        refusers: For each that was refused, the one profile that was to read it; empty where
            several might have.
    """

    verdicts: list[str | None] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    refusers: list[str] = field(default_factory=list)

    def add(self, received: int, verdict: str | None, profile: str = "") -> None:
        """Add an entry."""
        self.verdicts.append(verdict)
        self.profiles.append(profile)
        self.received.append(received)
