"""Promise: whatever goes wrong in a simulated city, nothing acknowledged is lost, doubled or unexplained.

Each seed is a world of its own; for many more of them: ``python -m tests.simulation --seeds 2000``.
"""

from __future__ import annotations

import pytest

from tests.simulation.run import run_seed

SEEDS, PARTS = 40, 4


@pytest.mark.fault("F1", "F2", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F12", "R19", "R20")
@pytest.mark.parametrize("part", range(PARTS))
def test_every_seed_keeps_every_promise(part):
    amiss = {}
    for seed in range(part, SEEDS, PARTS):
        outcome = run_seed(seed)
        assert outcome.counts["messages"] > 0
        if outcome.amiss:
            amiss[seed] = outcome.amiss[:3]
    assert amiss == {}, "python -m tests.simulation --seeds 1 --from SEED"
