"""Promise: the simulated world notices when a promise is broken: each breakage within so many seeds."""

from __future__ import annotations

import pytest

from tests.simulation.breakages import BREAKAGES
from tests.simulation.run import run_seed


@pytest.mark.parametrize("name", BREAKAGES)
def test_production_code_that_is_broken_is_found(name):
    broken, first, most, told = BREAKAGES[name]
    for seed in range(first, first + most):
        with broken():
            amiss = run_seed(seed).amiss
        if any(line.startswith(told) for line in amiss):
            return
    pytest.fail(f"{most} seeds from {first} did not show it")
