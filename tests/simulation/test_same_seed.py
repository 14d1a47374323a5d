"""Promise: a seed makes the same run, step for step, in whatever process it is run."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.simulation.run import run_seed

SEED = 1003
SAY = f"from tests.simulation.run import run_seed; print(run_seed({SEED}).digest)"


def elsewhere(hashing: str) -> str:
    """Run the seed in a process of its own, whose sets and dicts of names are in another order."""
    environment = {**os.environ, "PYTHONHASHSEED": hashing}
    return subprocess.run(
        [sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_same_seed_gives_the_same_trace_in_every_process():
    here = run_seed(SEED)
    assert here.amiss == []
    assert len(here.lines) > 30
    assert run_seed(SEED).digest == here.digest
    assert elsewhere("1") == here.digest
    assert run_seed(SEED + 1).digest != here.digest
