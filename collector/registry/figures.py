"""The city's figures on feeds, from how many are in which condition, or how long they were. Pure.

``enabled``: all but those under maintenance. In the city's words: 在线率 = online / enabled;
完好率 = intact / enabled; 图像正常率 and 时钟准确率 = online with a good picture, with a right
clock / online. Unknown is not down: it has its own column, and ``online_of_known`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

AMOUNTS = ("all", "enabled", "online", "intact", "down", "unknown", "maintenance")
RATES = ("online_rate", "online_of_known", "intact_rate", "picture_rate", "clock_rate")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures on one area, owner or group.

    Attributes:
        held: Condition to how many feeds, or to how many milliseconds.
    """

    held: Mapping[str, int]

    def amounts(self) -> dict[str, int]:
        """Return `AMOUNTS`, in the unit of ``held``; all = enabled + maintenance."""
        held = self.held
        everything = sum(held.values())
        return {
            "all": everything,
            "enabled": everything - held.get("maintenance", 0),
            "online": self._of("intact", "picture", "clock", "both"),
            "intact": self._of("intact"),
            "down": self._of("down"),
            "unknown": self._of("unknown"),
            "maintenance": self._of("maintenance"),
        }

    def rates(self) -> dict[str, float | None]:
        """Return `RATES`, each from 0 to 1; None where nothing is there to be divided by.

        Where nothing is known of any, all are None: 0 % would say that all are down.
        """
        amounts = self.amounts()
        online, enabled = amounts["online"], amounts["enabled"]
        if amounts["unknown"] == enabled:
            return dict.fromkeys(RATES)
        return {
            "online_rate": _share(online, enabled),
            "online_of_known": _share(online, enabled - amounts["unknown"]),
            "intact_rate": _share(amounts["intact"], enabled),
            "picture_rate": _share(self._of("intact", "clock"), online),
            "clock_rate": _share(self._of("intact", "picture"), online),
        }

    def _of(self, *conditions: str) -> int:
        return sum(self.held.get(each, 0) for each in conditions)


def total(parts: Iterable[Figures]) -> Figures:
    """Return the figures on all of them together."""
    held: dict[str, int] = {}
    for part in parts:
        for condition, amount in part.held.items():
            held[condition] = held.get(condition, 0) + amount
    return Figures(held)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
