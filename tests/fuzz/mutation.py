"""A small mutator with a seed: the same inputs everywhere, for the run that every test run makes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

LONGEST = 2048
_MARKS = (0, 1, 0x7F, 0x80, 0xFF)
_WORDS = (
    b"\xff" * 4,
    b"\0" * 8,
    b"1e999",
    b"null",
    b"[",
    b"{",
    b'"',
    b"\\",
    b"}",
    b"-",
    b"\xf9\x7e\x00",
)


def mutated(seeds: Sequence[bytes], runs: int, seed: int) -> Iterator[bytes]:
    """Yield ``runs`` inputs made from seeds: bits, bytes, pieces taken out, put in, and crossed."""
    rng = random.Random(seed)
    for _ in range(runs):
        data = bytearray(rng.choice(seeds) if seeds else b"")
        for _ in range(rng.choice((1, 1, 2, 4))):
            _change(data, seeds, rng)
        yield bytes(data[:LONGEST])


def _change(data: bytearray, seeds: Sequence[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.randrange(1, 9))
    kind = rng.randrange(6)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = rng.choice((*_MARKS, rng.randrange(256)))
    elif kind == 2:
        del data[at:end]
    elif kind == 3:
        data[at:at] = rng.choice((*_WORDS, rng.randbytes(rng.randrange(1, 6))))
    elif kind == 4:
        data[at:at] = data[at:end]
    elif seeds:
        other = rng.choice(seeds)
        cut = rng.randrange(len(other) + 1)
        data[at:] = other[cut:]
