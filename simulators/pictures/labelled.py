"""A labelled set: for each camera first what it usually sees, then looks of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from simulators.pictures.brush import Canvas, jpeg
from simulators.pictures.defects import SHAKEN, STRENGTHS, TURNED, Defect, spoil
from simulators.pictures.scenes import KINDS, scene
from simulators.pictures.weather import HOURS, Night, Weather, crop, look, stamp

LABELS = "labels.jsonl"
LEARNT = 6
"""Good looks at each hour before anything is asked."""
_SHAKES = 5
_MOVING: frozenset[Defect] = frozenset({"scene_change", "freeze", "shake"})


@dataclass(frozen=True, slots=True)
class Label:
    """One picture, and what is the matter with it.

    Attributes:
        file: Its name, or empty when it was not written.
        camera: All pictures of a camera come one after the other, in the order of their numbers.
        kind: Of the scene.
        hour: Of day.
        role: ``learn`` for what a baseline is learned from, ``before`` for a picture that only
            goes before the next one, ``test`` for what is to be judged.
        defect: Empty when nothing is the matter.
        strength: 1 to 3; 0 without a defect.
        circumstance: ``clear``, or what makes a good picture hard.
    """

    file: str
    camera: str
    kind: str
    hour: int
    role: Literal["learn", "before", "test"]
    defect: Defect | Literal[""] = ""
    strength: int = 0
    circumstance: str = "clear"


class _Camera:
    """One simulated camera for as long as its pictures are drawn."""

    def __init__(self, seed: int, number: int) -> None:
        self._dice = np.random.default_rng((seed, number))
        self.kind = tuple(KINDS)[number % len(KINDS)]
        self.name = f"sim-{seed}-{number:03}"
        self._place = scene(self.kind, int(self._dice.integers(1 << 30)))
        other = tuple(KINDS)[int(self._dice.integers(len(KINDS)))]
        self._elsewhere = scene(other, int(self._dice.integers(1 << 30)))
        self._night: Night = "infrared" if self._dice.random() < 0.6 else "lamps"
        self._quality = int(self._dice.integers(70, 92))
        self._second = 0

    def pictures(self) -> Iterator[tuple[Label, bytes]]:
        """Yield all pictures of the camera."""
        for hour in HOURS:
            for turn in range(LEARNT):
                weather: Weather = "rain" if turn == 3 and self._outside() else "clear"
                yield self._one(hour, "learn", weather=weather)
        for hour in HOURS:
            for weather in self._weathers(hour):
                yield self._one(hour, "test", weather=weather)
        for defect in get_args(Defect):
            for strength in STRENGTHS:
                yield from self._spoilt(defect, strength)

    def _outside(self) -> bool:
        return self.kind != "corridor"

    def _weathers(self, hour: int) -> tuple[Weather, ...]:
        if not self._outside():
            return ("clear", "clear")
        night: tuple[Weather, ...] = ("headlights", "headlights") if hour == 2 else ()
        return ("clear", "clear", "fog", "rain", "snow", *night)

    def _one(
        self,
        hour: int,
        role: Literal["learn", "before", "test"],
        defect: Defect | Literal[""] = "",
        strength: int = 0,
        *,
        weather: Weather = "clear",
        seen: Canvas | None = None,
    ) -> tuple[Label, bytes]:
        sensed = crop(self._place) if seen is None else seen
        picture = look(sensed, hour, self._night, weather, self._dice)
        if defect and defect not in _MOVING:
            picture = spoil(picture, defect, strength, self._dice)
        night = f"night, {self._night}" if hour == 2 else ""
        clear = night or ("plain wall" if self.kind == "wall" else "clear")
        circumstance = clear if weather == "clear" else weather
        label = Label("", self.name, self.kind, hour, role, defect, strength, circumstance)
        return label, self._encoded(picture, hour)

    def _encoded(self, picture: Canvas, hour: int) -> bytes:
        self._second += 47
        return jpeg(stamp(np.clip(picture, 0, 255), hour, self._second), self._quality)

    def _spoilt(self, defect: Defect, strength: int) -> Iterator[tuple[Label, bytes]]:
        # By night an infrared picture has no colours that could be lost or wrong.
        hours = (8, 13, 19) if defect in {"black_and_white", "colour_cast", "too_dark"} else HOURS
        hour = int(self._dice.choice(hours))
        match defect:
            case "freeze":
                before, held = self._one(hour, "before")
                yield before, held
                yield (
                    Label("", self.name, self.kind, hour, "test", defect, strength, "clear"),
                    held,
                )
            case "shake":
                for turn in range(_SHAKES):
                    x, y = self._dice.uniform(-1, 1, 2) * SHAKEN[strength - 1]
                    away = (abs(x) + 4) * (1 if turn % 2 else -1)
                    last = turn == _SHAKES - 1
                    seen = crop(self._place, away, y / 2)
                    yield self._one(hour, "test" if last else "before", defect, strength, seen=seen)
            case "scene_change":
                seen = crop(self._elsewhere)
                if strength < STRENGTHS[-1]:
                    seen = crop(self._place, TURNED[strength], TURNED[strength] / 3)
                yield self._one(hour, "test", defect, strength, seen=seen)
            case _:
                yield self._one(hour, "test", defect, strength)


def labelled(seed: int, cameras: int) -> Iterator[tuple[Label, bytes]]:
    """Yield labelled JPEGs, the same ones for the same seed.

    Args:
        seed: Of everything.
        cameras: How many.
    """
    for number in range(cameras):
        yield from _Camera(seed, number).pictures()


def write_set(folder: Path, seed: int, cameras: int) -> Iterator[Label]:
    """Write a labelled set, one file a picture and ``labels.jsonl``; yield what was written.

    Args:
        folder: Made when it is not there.
        seed: Of everything.
        cameras: How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LABELS).open("w", encoding="utf-8") as lines:
        for number, (label, data) in enumerate(labelled(seed, cameras)):
            name = f"{label.camera}-{number:05}.jpg"
            (folder / name).write_bytes(data)
            named = Label(**{**asdict(label), "file": name})
            lines.write(json.dumps(asdict(named), ensure_ascii=False) + "\n")
            yield named
