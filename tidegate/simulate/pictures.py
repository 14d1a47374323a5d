"""``tidegate simulate pictures``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import Progress

from gateway_core.errors import GatewayError
from tidegate.output import console, print_json, print_table
from tidegate.simulate.usage import wrong_usage


def pictures(
    *,
    out: Annotated[Path, Parameter(help="Folder to write to; made when it is not there.")],
    cameras: int = 16,
    seed: int = 1,
    json: bool = False,
) -> int:
    """Draw labelled pictures of cameras that do not exist, good ones and ones with every defect.

    Each camera has looks to learn from at four hours, good ones in fog, rain, snow and headlights,
    and thirteen defects at three strengths; labels.jsonl says which is which. They are synthetic:
    a grading that finds all of them has not been shown to find real ones.

        tidegate simulate pictures --out pictures --seed 2

    Args:
        cameras: How many; each has about 100 pictures.
        seed: The same seed draws the same pictures.
        json: Print JSON.
    """
    if not 1 <= cameras <= 10_000:
        raise wrong_usage("--cameras", f"{cameras}: expected 1 to 10000")
    try:
        from simulators.pictures.labelled import write_set
    except ImportError as exc:
        raise GatewayError("needs OpenCV and numpy: pip install 'tidegate[camera]'") from exc
    counts: Counter[tuple[str, str]] = Counter()
    drawn: set[str] = set()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("drawing", total=cameras)
        for label in write_set(out, seed, cameras):
            counts[label.role, label.defect or label.circumstance] += 1
            drawn.add(label.camera)
            progress.update(task, completed=len(drawn) - 1)
    rows = [(role, shows, count) for (role, shows), count in sorted(counts.items())]
    if json:
        listed = [{"role": r, "shows": s, "pictures": n} for r, s, n in rows]
        print_json({"folder": str(out), "pictures": sum(counts.values()), "sets": listed})
    else:
        print_table(("role", "shows", "pictures"), rows)
        print(f"{sum(counts.values())} pictures and labels.jsonl are in {out}")
    return 0
