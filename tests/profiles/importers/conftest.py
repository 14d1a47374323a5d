"""The JavaScript workers that the tests of an importer started are ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from device_profiles.js.runtime import shared


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    yield
    shared().close()
