"""One bad line among many is found in few requests, and all the others are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.timeseries.deliver import deliver
from collector.timeseries.line import Lines


class Server:
    """Refuses a request with a bad line in it; with ``partial`` it writes the others, as 1.x does."""

    def __init__(self, bad: set[str], *, partial: bool) -> None:
        self.bad = bad
        self.partial = partial
        self.written: set[str] = set()
        self.requests = 0

    async def post(self, text: str) -> str | None:
        lines = text.split("\n")
        self.requests += 1
        found = self.bad & set(lines)
        if self.partial or not found:
            self.written |= set(lines) - self.bad
        if not found:
            return None
        told = f" dropped={len(found)}" if self.partial else ""
        return f"partial write: field type conflict{told}"


def lines(count: int) -> Lines:
    return Lines("\n".join(f"m f={n}" for n in range(count)), range(100, 100 + count))


@pytest.mark.fault("F10")
@given(st.integers(1, 200), st.data(), st.booleans())
async def test_exactly_the_bad_lines_are_named(count: int, data, partial: bool) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=6))
    server = Server({f"m f={n}" for n in bad}, partial=partial)
    receipt = await deliver(lines(count), server.post)
    assert [each.seq - 100 for each in receipt.rejected] == sorted(bad)
    assert {each.reason for each in receipt.rejected} <= {"field_type"}
    assert len(server.written) == count - len(bad)


@pytest.mark.fault("F10", "R10")
@pytest.mark.parametrize("bad", [0, 1, 511, 512, 998, 999])
async def test_one_bad_line_of_a_thousand_costs_two_requests_for_each_halving_at_most(bad) -> None:
    server = Server({f"m f={bad}"}, partial=False)
    await deliver(lines(1000), server.post)
    assert server.requests <= 2 * math.ceil(math.log2(1000)) + 1


async def test_lines_beyond_a_request_go_in_several() -> None:
    server = Server(set(), partial=False)
    many = Lines("\n".join(f'm s="{"x" * 65_000}{n}"' for n in range(300)), range(300))
    await deliver(many, server.post)
    assert (server.requests, len(server.written)) == (3, 300)
