"""Whatever an edge repeats, splits or reorders, its books say what a set of numbers would say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dedupe import EpochBook

spans = st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1]))


@st.composite
def uploads(draw):
    first, last = draw(spans)
    seqs = sorted(draw(st.sets(st.integers(first, last))))
    silent = last - first + 1 - len(seqs)
    return first, last, seqs, {"policy": silent} if silent else {}


@given(st.lists(uploads(), max_size=25))
def test_the_books_agree_with_a_python_set(batches) -> None:
    book, seen, stored, came = EpochBook(), set(), 0, 0
    for now, (first, last, seqs, withheld) in enumerate(batches, 1):
        fresh = book.fresh(first, last, seqs)
        assert [seqs[at] for at in fresh] == [seq for seq in seqs if seq not in seen]
        book = book.enter(first, last, seqs, withheld, now)
        stored += len(fresh)
        came += len(seqs)
        seen |= set(range(first, last + 1))
    assert book.received.count() == len(seen)
    assert book.stored == stored
    assert book.duplicates == came - stored
    assert book.high_water == max(seen, default=0)
    assert [n for a, b in book.missing() for n in range(a, b + 1)] == [
        n for n in range(1, book.high_water) if n not in seen
    ]
    assert book.unexplained == 0
    assert book.residual == 0
    assert EpochBook.decode(book.encode()) == book


@given(st.lists(uploads(), min_size=1, max_size=10))
@pytest.mark.fault("F8")
def test_everything_sent_again_changes_nothing_but_the_count_of_duplicates(batches) -> None:
    book = EpochBook()
    for first, last, seqs, withheld in batches:
        book = book.enter(first, last, seqs, withheld, 1)
    again = book
    for first, last, seqs, withheld in reversed(batches):
        assert again.fresh(first, last, seqs) == []
        again = again.enter(first, last, seqs, withheld, 2)
    assert again.received == book.received
    assert (again.stored, again.withheld) == (book.stored, book.withheld)


def test_what_an_edge_cannot_explain_is_its_residual() -> None:
    book = EpochBook().enter(1, 10, [1, 2, 3], {"policy": 5}, 1)
    assert book.unexplained == 2
    assert book.withheld == {"policy": 5}
    assert book.residual == 0


def test_a_loss_closes_a_gap_but_late_records_in_it_are_still_new() -> None:
    book = EpochBook().enter(1, 10, list(range(1, 11)), {}, 1).enter(21, 30, [25], {"policy": 9}, 2)
    assert book.missing() == [(11, 20)]
    lost = book.lose([(11, 18)])
    assert lost.missing() == [(19, 20)]
    assert lost.fresh(11, 12, [11, 12]) == range(2)


def test_losses_around_many_alarms_stay_few_pieces_and_hide_no_gap() -> None:
    book = EpochBook().enter(1, 1, [1], {}, 1)
    alarms = range(10, 30_010, 10)  # each came; what lies between two of them was thinned
    for seq in alarms:
        book = book.enter(seq, seq, [seq], {}, 1)
    book = book.lose([(seq + 1, seq + 9) for seq in alarms])
    assert len(book.lost) == 1
    assert book.missing() == [(2, 9)]
