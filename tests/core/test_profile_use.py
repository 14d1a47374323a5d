"""Promise: which profile version reads from here on is a record, and costs older files nothing."""

from __future__ import annotations

import msgspec

from gateway_core.model import Listed, Loss, ProfileUse, Reading, Record
from gateway_core.spool.segment import Segment, chunk, pack, unpack

USE = ProfileUse("e1", "acme/env", "1.1.0", "ab" * 32, 7, "1.0.0", "centre")
EARLIER_SEGMENT = Segment(
    first=1,
    count=2,
    created=7,
    version=1,
    crc=2156140082,
    payload=bytes.fromhex(
        "28b52ffd2065290300dd000000029ba169a26531a6646576696365a2643105a4446f6f72a861636d652f656e76"
        "a433373136c0c0c09ba172a26531a26431a861636d652f656e76a3656e76050682a174cb4035800000000000a1"
        "6e0381a473697465a16191a7683a72616e6765c2"
    ),
)
"""Written before there was such a record: one Listed and one Reading."""


def test_a_segment_from_before_is_read_as_it_was():
    assert unpack(EARLIER_SEGMENT, "e1", "epoch") == [
        Listed("e1", "device", "d1", 5, "Door", "acme/env", "3716"),
        Reading(
            "e1", "d1", "acme/env", "env", 5, 6, {"t": 21.5, "n": 3}, {"site": "a"}, ("h:range",)
        ),
    ]


def test_it_is_stored_and_read_back_with_every_attribute():
    assert unpack(pack(9, 7, [chunk([USE])]), "e1", "epoch") == [USE]


def test_its_encoding_is_the_published_one():
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(USE)) == [
        "p",
        "e1",
        "acme/env",
        "1.1.0",
        "ab" * 32,
        7,
        "1.0.0",
        "centre",
        "",
        0,
    ]


def test_one_without_the_later_attributes_is_still_read():
    short = msgspec.msgpack.encode(["p", "e1", "acme/env", "1.1.0", "ab" * 32, 7])
    found = msgspec.msgpack.decode(short, type=Record)
    assert (found.previous, found.origin) == ("", "site")


def test_a_kind_that_nobody_knows_is_a_loss_of_that_one_number():
    raw = chunk([USE])
    odd = type(raw)(raw.records, raw.body.replace(b"\xa1p", b"\xa1?", 1))
    (found,) = unpack(pack(9, 7, [odd]), "e1", "epoch")
    assert isinstance(found, Loss)
    assert (found.first, found.last, found.reason) == (9, 9, "damaged")
