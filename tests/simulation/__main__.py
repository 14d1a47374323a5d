"""The simulated world from the command line: ``scripts/test --simulation --seeds 2000 --from 0``."""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.plan import draw
from tests.simulation.run import Outcome, run, run_seed, shortened

TAIL = 60


def main() -> int:
    """Run seeds; print each that fails with its shortest plan and trace; 1 when one did."""
    parser = argparse.ArgumentParser(prog="scripts/test --simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--processes", type=int, default=1, help="at once")
    parser.add_argument("--trace", action="store_true", help="print the whole trace of each seed")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    began, failed, counts = time.monotonic(), [], Counter[str]()
    for outcome in _outcomes(seeds, options.processes):
        counts.update(outcome.counts)
        counts.update(fault.kind for fault in outcome.plan.faults)
        if options.trace and not outcome.amiss:
            _show(outcome, len(outcome.lines))
        if outcome.amiss:
            failed.append(outcome.plan.seed)
            _explain(outcome, whole=options.trace)
    took = time.monotonic() - began
    print(
        f"{len(seeds)} seeds from {options.first} in {took:.0f} s, {len(seeds) / took:.1f} a second"
    )
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    print(f"failed: {failed or 'none'}")
    return 1 if failed else 0


def _outcomes(seeds: range, processes: int) -> Iterator[Outcome]:
    if processes == 1:
        yield from map(run_seed, seeds)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(run_seed, seeds, chunksize=5)


def _explain(outcome: Outcome, *, whole: bool) -> None:
    """Print what failed, and how with as few faults as it takes."""
    print(f"seed {outcome.plan.seed} failed:")
    for line in outcome.amiss[:10]:
        print(f"  {line}")
    short = shortened(outcome)
    print(f"with {len(short.plan.faults)} of its {len(outcome.plan.faults)} faults:")
    for line in short.amiss[:10]:
        print(f"  {line}")
    _show(short, len(short.lines) if whole else TAIL)
    again = run(draw(outcome.plan.seed))
    same = "the same" if again.digest == outcome.digest else "ANOTHER"
    print(f"again: python -m tests.simulation --from {outcome.plan.seed} --seeds 1 ({same} trace)")


def _show(outcome: Outcome, most: int) -> None:
    """Print the end of a trace; of its beginning, the faults."""
    lines = outcome.lines
    for at, (when, who, what) in enumerate(lines):
        if at >= len(lines) - most or who == "fault":
            print(f"  {when:9.3f}  {who:8}  {what}")


if __name__ == "__main__":
    sys.exit(main())
