"""Promise: intervals are a set of numbers that takes little room."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway_core.intervals import Intervals

span = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1]))
spans = st.lists(span, max_size=12)


def numbers(intervals: Intervals) -> set[int]:
    return {n for first, last in intervals for n in range(first, last + 1)}


def plain(pairs) -> set[int]:
    return {n for first, last in pairs for n in range(first, last + 1)}


@given(spans, span)
def test_add_is_union_and_counts_what_was_new(pairs, extra):
    intervals = Intervals(pairs)
    assert intervals.add(*extra) == len(plain([extra]) - plain(pairs))
    assert numbers(intervals) == plain([*pairs, extra])
    assert intervals.count() == len(plain([*pairs, extra]))


@given(spans)
def test_neighbours_are_merged(pairs):
    ends = list(Intervals(pairs))
    assert all(left[1] + 1 < right[0] for left, right in pairwise(ends))


@given(spans, span)
def test_overlap_and_missing_share_a_range_between_them(pairs, window):
    intervals = Intervals(pairs)
    assert intervals.overlap(*window) == len(plain(pairs) & plain([window]))
    assert plain(intervals.missing(*window)) == plain([window]) - plain(pairs)


@given(spans, st.integers(0, 75))
def test_membership_and_dropping(pairs, number):
    intervals = Intervals(pairs)
    assert (number in intervals) == (number in plain(pairs))
    intervals.drop_below(number)
    assert numbers(intervals) == {n for n in plain(pairs) if n >= number}


@given(spans)
def test_what_is_decoded_is_what_was_encoded(pairs):
    assert Intervals.decode(Intervals(pairs).encode()) == Intervals(pairs)


def test_the_encoding_is_json():
    assert Intervals([(1, 3), (7, 7), (4, 4)]).encode() == b"[[1,4],[7,7]]"
