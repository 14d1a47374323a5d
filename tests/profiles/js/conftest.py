"""One worker for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from device_profiles.js.runtime import Runtime


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()
