"""The promise: what the CoAP server remembers of its peers stays within its limits."""

from __future__ import annotations

import pytest

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_memory import Answered, Assemblies, Fate, Rates
from edge_agent.sources.coap_request import Block, Declined


def _block(number: int, *, more: bool, size: int = 16) -> Block:
    return Block(number, more, size, b"")


def _declined(code: str):
    return pytest.raises(Declined, match=code.replace(".", r"\."))


def test_an_answer_is_found_for_at_least_a_lifetime() -> None:
    answers = Answered(most=100, lifetime_s=247)
    answers.keep(1, b"first", 0.0)
    answers.keep(2, b"", 246.0)
    answers.keep(3, b"third", 250.0)
    assert [answers.find(key) for key in (1, 2, 3, 4)] == [b"first", b"", b"third", None]
    answers.keep(4, b"fourth", 600.0)
    assert answers.find(1) is None


def test_answers_never_grow_beyond_the_limit() -> None:
    answers = Answered(most=100)
    for key in range(10_000):
        answers.keep(key, b"x", 1.0)
        assert len(answers) <= 101
    assert answers.find(9_999) == b"x"
    assert answers.find(9_999 - 49) == b"x"


def test_a_forgotten_request_is_new_again() -> None:
    answers = Answered()
    answers.keep(1, b"", 0.0)
    answers.forget(1)
    assert answers.find(1) is None


def test_a_plain_request_is_new_once_and_its_answer_counts_more_than_its_fate() -> None:
    answers, fate = Answered(most=100, lifetime_s=247), Fate()
    answers.age(0.0)
    assert [answers.enter(key, fate) for key in (1, 1, 2)] == [True, False, True]
    answers.age(247.0)
    assert [answers.enter(key, fate) for key in (1, 3)] == [False, True]
    answers.keep(2, b"refused", 247.0)
    assert [answers.find(key) for key in (1, 2, 3)] == [fate, b"refused", fate]


def test_blocks_in_order_become_the_payload() -> None:
    assemblies = Assemblies(1024)
    assert assemblies.take("k", "p", _block(0, more=True), b"a" * 16, 0.0) is None
    assert assemblies.take("k", "p", _block(1, more=True), b"b" * 16, 0.0) is None
    assert (
        assemblies.take("k", "p", _block(2, more=False), b"c", 0.0) == b"a" * 16 + b"b" * 16 + b"c"
    )
    assert len(assemblies) == 0


def test_a_single_block_needs_no_memory() -> None:
    assemblies = Assemblies(1024)
    assert assemblies.take("k", "p", _block(0, more=False), b"whole", 0.0) == b"whole"


def test_a_block_that_does_not_follow_is_4_08() -> None:
    assemblies = Assemblies(1024)
    with _declined("4.08"):
        assemblies.take("k", "p", _block(3, more=True), b"a" * 16, 0.0)
    assemblies.take("k", "p", _block(0, more=True), b"a" * 16, 0.0)
    with _declined("4.08"):
        assemblies.take("k", "p", _block(2, more=False), b"c", 0.0)
    assert len(assemblies) == 0


def test_a_block_of_the_wrong_length_is_4_00() -> None:
    with _declined("4.00"):
        Assemblies(1024).take("k", "p", _block(0, more=True), b"short", 0.0)


def test_too_much_is_4_13_and_frees_what_was_held() -> None:
    assemblies = Assemblies(40)
    assemblies.take("k", "p", _block(0, more=True), b"a" * 16, 0.0)
    assemblies.take("k", "p", _block(1, more=True), b"a" * 16, 0.0)
    with _declined("4.13") as caught:
        assemblies.take("k", "p", _block(2, more=True), b"a" * 16, 0.0)
    assert caught.value.verdict.options == ((coap.SIZE1, b"\x28"),)
    assert len(assemblies) == 0


def test_unfinished_payloads_are_bounded_for_each_peer_and_in_all() -> None:
    assemblies = Assemblies(1024, most=6, most_a_peer=4)
    for number in range(4):
        assemblies.take(number, "p", _block(0, more=True), b"a" * 16, 0.0)
    with _declined("5.03"):
        assemblies.take(4, "p", _block(0, more=True), b"a" * 16, 0.0)
    assemblies.take(5, "q", _block(0, more=True), b"a" * 16, 0.0)
    assemblies.take(6, "r", _block(0, more=True), b"a" * 16, 0.0)
    with _declined("5.03"):
        assemblies.take(7, "s", _block(0, more=True), b"a" * 16, 0.0)
    assert assemblies.take(8, "s", _block(0, more=True), b"a" * 16, 61.0) is None
    assert len(assemblies) == 1


def test_a_peer_may_save_up_two_seconds_and_no_more() -> None:
    rates = Rates(10.0)
    assert sum(rates.allows("p", 0.0) for _ in range(100)) == 20
    assert sum(rates.allows("p", 1.0) for _ in range(100)) == 10
    assert sum(rates.allows("p", 100.0) for _ in range(100)) == 20
    assert rates.allows("q", 100.0)


@pytest.mark.fault("F15")
def test_forged_addresses_do_not_fill_the_memory() -> None:
    rates = Rates(10.0, most=50)
    for number in range(1000):
        rates.allows(f"p{number}", 0.0)
    assert len(rates) == 50
