"""The fault laboratory from the command line: ``scripts/test --faults --cycles 1000 --seed 7``."""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.city import City
from tests.faults.kills import KillLab


def main() -> int:
    """Kill as often as asked; print seed and table; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="scripts/test --faults", description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000, help="of kill -9")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="messages a second")
    parser.add_argument("--folder", type=Path, help="kept afterwards; left out: a temporary one")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tidegate-faults-") as made:
        folder = options.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        city = City(folder)
        try:
            lab = KillLab(city, options.seed, options.rate)
            table = asyncio.run(lab.run(options.cycles, lambda text: print(text, flush=True)))
        finally:
            city.close()
    print(table)
    return 1 if table.amiss else 0


if __name__ == "__main__":
    sys.exit(main())
