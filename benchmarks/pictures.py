"""How well pictures are graded, on synthetic ones: precision and recall for each defect.

    python -m benchmarks.pictures

Prints the tables of docs/explanation/pictures.md. The pictures are drawn by the simulator
(`tidegate simulate pictures` writes the same ones to files); the limits in `PictureLimits` were set
on seed 1, so seed 1 is the one seed that proves nothing. The edge's own measuring, baseline and
grading run here; what is left out is the rule that two of three looks must agree.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.cameras.baseline import Slot, Usual, sample, usual
from edge_agent.cameras.frame import measure, quieten
from edge_agent.cameras.grading import Before, Fault, PictureLimits, faults_of, grade
from edge_agent.cameras.picture import Measures, jpeg_size
from simulators.pictures.defects import STRENGTHS, Defect
from simulators.pictures.labelled import Label, labelled

EXPECTED: dict[Defect, Fault] = {
    "signal_loss": "picture_flat",
    "too_dark": "picture_black",
    "too_bright": "picture_white",
    "low_contrast": "picture_faint",
    "freeze": "picture_frozen",
    "occlusion": "picture_covered",
    "scene_change": "picture_moved",
    "blur": "picture_blurred",
    "noise": "picture_noisy",
    "stripes": "picture_striped",
    "colour_cast": "picture_cast",
    "black_and_white": "picture_grey",
    "shake": "picture_shaking",
}


@dataclass(slots=True)
class Score:
    """What was found in the pictures with and without each defect."""

    found: Counter[tuple[str, int]] = field(default_factory=Counter)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    good: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    pictures: int = 0
    cpu_s: float = 0.0

    def add(self, label: Label, faults: tuple[Fault, ...]) -> None:
        """Count one judged picture."""
        expected = EXPECTED[label.defect] if label.defect else None
        if expected is not None:
            self.asked[expected, label.strength] += 1
            self.found[expected, label.strength] += expected in faults
        else:
            self.good[label.circumstance]["pictures"] += 1
            self.good[label.circumstance]["with a fault"] += bool(faults)
        for fault in faults:
            self.false[fault] += fault != expected
            if expected is None:
                self.good[label.circumstance][fault] += 1


def judged(seed: int, cameras: int, score: Score) -> Iterator[tuple[Label, Measures, Usual | None]]:
    """Grade a labelled set, each camera against what it learned; yield every test picture."""
    slots: dict[tuple[str, int], Slot] = {}
    learned: dict[tuple[str, int], Usual | None] = {}
    before: dict[str, Before] = {}
    limits = PictureLimits()
    for label, data in labelled(seed, cameras):
        key, last = (label.camera, label.hour), before.get(label.camera, Before())
        started = time.process_time()
        measures = measure(data, *jpeg_size(data), last.profile)
        if measures is None:
            raise SystemExit(f"{label} cannot be decoded")
        if label.role == "learn":
            slots[key] = (*slots.get(key, ()), sample(measures, 0))
        elif label.role == "test":
            if key not in learned:
                learned[key] = usual([slots[key]])
            grades = grade(measures, last, learned[key], limits)
            score.add(label, faults_of(grades))
            yield label, measures, learned[key]
        before[label.camera] = last.after(measures)
        score.cpu_s += time.process_time() - started
        score.pictures += 1


def measured(seed: int, cameras: int) -> Score:
    """Grade a labelled set."""
    quieten()
    score = Score()
    for _ in judged(seed, cameras, score):
        pass
    return score


def row(*cells: str) -> str:
    """One line of Markdown."""
    return f"| {' | '.join(cells)} |"


def table(seed: int, cameras: int) -> str:
    """Measure, and return Markdown."""
    from benchmarks.run import machine

    score = measured(seed, cameras)
    lines = [
        f"Seed {seed}, {cameras} cameras, {score.pictures:,} synthetic pictures of 640 × 360.",
        f"{1000 * score.cpu_s / score.pictures:.1f} ms of CPU a picture ({machine()}).",
        "",
        row("defect", "fault", "precision", "recall", "weak", "middle", "strong", "pictures"),
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for defect, fault in EXPECTED.items():
        found = sum(score.found[fault, each] for each in STRENGTHS)
        asked = sum(score.asked[fault, each] for each in STRENGTHS)
        named = found + score.false[fault]
        lines.append(
            row(
                defect.replace("_", " "),
                f"`{fault}`",
                f"{found / named:.3f}" if named else "-",
                f"{found / asked:.3f}",
                *(f"{score.found[fault, e] / score.asked[fault, e]:.2f}" for e in STRENGTHS),
                str(asked),
            )
        )
    lines += [
        "",
        row("good pictures", "pictures", "with a fault", "which"),
        "|---|---:|---:|---|",
    ]
    for circumstance, counts in sorted(score.good.items()):
        which = ", ".join(
            f"{count} `{name}`" for name, count in sorted(counts.items()) if "picture_" in name
        )
        lines.append(
            row(circumstance, str(counts["pictures"]), str(counts["with a fault"]), which or "-")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--cameras", type=int, default=16)
    arguments = parser.parse_args()
    print(table(arguments.seed, arguments.cameras))
