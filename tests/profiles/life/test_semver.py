"""Versions are ordered as Semantic Versioning says, and a step claims what its numbers claim."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.semver import Version, read_version
from gateway_core.errors import PayloadError

# the example of section 11 of semver.org 2.0.0, and numbers that texts would order wrongly
ASCENDING = [
    "0.9.0",
    "0.10.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
]


def test_versions_come_in_the_order_of_the_standard() -> None:
    shuffled = random.Random(1).sample(ASCENDING, len(ASCENDING))
    assert [str(version) for version in sorted(map(read_version, shuffled))] == ASCENDING


@pytest.mark.parametrize(
    ("older", "newer", "step"),
    [
        ("1.0.0", "1.0.1", "patch"),
        ("1.0.0-rc.1", "1.0.0", "patch"),
        ("1.0.0", "1.1.0", "minor"),
        ("1.9.9", "2.0.0", "major"),
        ("0.1.0", "0.1.1", "patch"),
        ("0.1.0", "0.2.0", "major"),
    ],
)
def test_a_step_claims_what_its_numbers_say(older: str, newer: str, step: str) -> None:
    assert read_version(newer).step_from(read_version(older)) == step


@given(st.tuples(*[st.integers(0, 10**6)] * 3), st.sampled_from(["", "rc.1", "alpha", "x-y"]))
def test_a_version_is_read_as_it_is_written(numbers: tuple[int, int, int], pre: str) -> None:
    version = Version(*numbers, pre)
    assert read_version(str(version)) == version


@pytest.mark.parametrize(
    "text", ["1.0", "v1.0.0", "1.0.0+build", "1.0.0-", "", "1.0.0-" + "a" * 99]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(PayloadError, match="bad_version"):
        read_version(text)
