"""A store that holds what a test says."""

from __future__ import annotations

from collections.abc import Sequence

from simulators.sensors.truth import Key


class HeldStore:
    """Answers `keys` from a list; `asked` notes every question."""

    def __init__(self, *held: Key) -> None:
        self.held = list(held)
        self.asked: list[tuple[str, int, int, tuple[str, ...]]] = []

    async def keys(
        self, measurement: str, start_ns: int, stop_ns: int, devices: Sequence[str] = ()
    ) -> list[Key]:
        self.asked.append((measurement, start_ns, stop_ns, tuple(devices)))
        return [key for key in self.held if not devices or key[0] in devices]
