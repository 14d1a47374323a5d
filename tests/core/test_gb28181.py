"""A GB/T 28181 code that cannot be a feed's is refused, and the message says which digits are wrong."""

from __future__ import annotations

import pytest

from gateway_core.gb28181 import GbCode, parse_feed_code


def test_a_code_is_taken_apart() -> None:
    assert parse_feed_code("37160200081320000017") == GbCode("37160200", "08", 132, 0, "000017")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3716020008132000001", "expected 20 digits, found 19 characters"),
        ("3716020008132000001x", "expected 20 digits"),
        ("３７１６０２００００１３２００００００１", "expected 20 digits"),
        ("99160200081320000017", "no province begins with 99"),
        ("37160200081180000017", "118, an NVR; a camera's are 131"),
        ("37160200082000000017", "200, a platform or a group"),
        ("37160200080000000017", "000, no type of device"),
        ("3.7160200081320e+19", "made a number of it and lost digits"),
        ("3.7160E+19", "made a number of it and lost digits"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_feed_code(text)
    assert why in str(refused.value)
