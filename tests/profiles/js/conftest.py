"""One worker for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from device_profiles.js.runtime import Runtime


@pytest.fixture(autouse=True)
def told() -> None:
    """Let what is logged go to this test's own output, whoever ran a command before."""
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()
