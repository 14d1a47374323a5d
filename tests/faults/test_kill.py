"""Kill everything, often: what was acknowledged is at the centre once, in order, and books balance.

Edge, collector and broker are killed (-9), also while they are starting, under 1,000 messages a
second; ``scripts/test --faults --cycles 1000`` does it for longer and prints the same table. The
devices have no clock: a message that is stored twice is two points, which nothing hides.
"""

from __future__ import annotations

import os
import time

import pytest

from simulators.sensors.truth import judge
from tests.e2e.city import City
from tests.faults.kills import KillLab

CYCLES = 10


@pytest.mark.fault("F1", "F5", "F8", "R2", "R14")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_what_was_acknowledged_is_at_the_centre_exactly_once_and_in_order(city: City) -> None:
    seed = int(os.environ.get("TIDEGATE_SEED", time.time_ns() % 1_000_000))
    table = await KillLab(city, seed, longest_s=1.5).run(CYCLES)
    told = f"TIDEGATE_SEED={seed} repeats the moments\n{table}"
    assert (table.lost, table.duplicated, table.disordered, table.residual) == (0, 0, 0, 0), told
    assert table.acknowledged > 2_000, told
    assert table.cycles == CYCLES


def test_the_oracle_sees_what_is_lost_doubled_and_overtaken() -> None:
    promised = [("a", 1), ("a", 2), ("a", 3), ("b", 1)]
    verdict = judge(promised, [("a", 1), ("a", 3), ("a", 2), ("a", 2)])
    assert (verdict.lost, verdict.duplicated, verdict.disordered) == (1, 1, 2)
    assert verdict.examples == ("lost b 1", "twice a 2", "late a 2", "late a 2")
