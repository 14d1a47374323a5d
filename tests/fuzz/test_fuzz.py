"""The promise: whatever bytes arrive, they give readings or a refusal; a finding stays a case."""

from __future__ import annotations

import zlib

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import CORPUS, TARGETS, seeds

RUNS = 400
FEW_RUNS = {"explain": 10, "draft": 15, "profile": 60}
"""Targets that compile a profile for each input take longer."""


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_kept_input_is_taken_or_refused(name: str) -> None:
    for data in seeds(name) if name != "explain" else seeds(name)[::20]:
        TARGETS[name](data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_inputs_made_from_them_are_taken_or_refused(name: str) -> None:
    # a fixed number of runs from a fixed seed: the same inputs on every machine
    for data in mutated(seeds(name), FEW_RUNS.get(name, RUNS), zlib.crc32(name.encode())):
        TARGETS[name](data)


def test_every_folder_of_the_corpus_belongs_to_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} - set(TARGETS) == set()


def test_the_mutator_makes_the_same_inputs_again() -> None:
    first = list(mutated([b"abc", b"defg"], 50, 7))
    assert first == list(mutated([b"abc", b"defg"], 50, 7))
    assert len(set(first)) > 30
