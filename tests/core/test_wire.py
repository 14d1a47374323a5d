"""Promise: an upload arrives as it was sent; anything else is refused without harm."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_core.errors import PayloadError
from gateway_core.model import Alarm, FeedHealth, Listed, Loss, ProfileUse, Reading, SystemHealth
from gateway_core.wire import (
    Upload,
    UploadReceipt,
    decode_receipt,
    decode_upload,
    encode_receipt,
    encode_upload,
)
from tests.fakes.core import readings

text = st.text(max_size=20)
whole = st.integers(-(2**63), 2**63 - 1)
value = st.booleans() | whole | st.floats(allow_nan=False) | text
reading = st.builds(
    Reading,
    edge=text,
    device=text,
    profile=text,
    measurement=text,
    time=whole,
    received=whole,
    fields=st.dictionaries(text, value, max_size=4),
    tags=st.dictionaries(text, text, max_size=2),
    flags=st.lists(text, max_size=2).map(tuple),
    derived=st.booleans(),
)
record = (
    reading
    | st.builds(FeedHealth, edge=text, feed=text, time=whole, state=st.just("unknown"))
    | st.builds(SystemHealth, edge=text, system=text, time=whole, state=st.just("down"))
    | st.builds(
        Alarm,
        edge=text,
        device=text,
        profile=text,
        rule=text,
        severity=st.just("major"),
        state=st.just("raised"),
        time=whole,
        text=st.dictionaries(text, text, max_size=2),
    )
    | st.builds(Loss, text, whole, text, whole, whole, st.just("evicted"), text)
    | st.builds(Listed, edge=text, kind=st.just("feed"), id=text, time=whole, lat=st.none())
    | st.builds(ProfileUse, text, text, text, text, whole, text, st.just("centre"))
)


@st.composite
def uploads(draw) -> Upload:
    seqs = sorted(draw(st.sets(st.integers(5, 60), max_size=12)))
    records = [draw(record) for _ in seqs]
    withheld = draw(st.dictionaries(text, st.integers(0, 9), max_size=2))
    return Upload(draw(text), draw(text), 5, 60, seqs, records, withheld)


def body(*changes: object, version: int = 1) -> bytes:
    raw = msgspec.msgpack.encode(list(changes))
    return b"TGU" + bytes([version]) + zstandard.ZstdCompressor(level=1).compress(raw)


@settings(max_examples=150)
@given(uploads())
def test_what_is_decoded_is_what_was_encoded(upload):
    assert decode_upload(encode_upload(upload)) == upload


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from([b"", b"TGU", b"TGU\x01"]))
def test_any_bytes_are_an_upload_or_a_payload_error(data, start):
    try:
        decode_upload(start + data)
    except PayloadError as exc:
        if exc.code not in {"wire_magic", "wire_version", "wire_zstd", "wire_body", "too_large"}:
            raise


@settings(max_examples=200)
@given(st.data())
def test_an_altered_upload_is_an_upload_or_a_payload_error(data):
    packed = bytearray(encode_upload(Upload("e", "0", 1, 5, [1, 2, 5], readings(1, 3))))
    raw = bytearray(zstandard.ZstdDecompressor().decompress(bytes(packed[4:])))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_upload(bytes(packed[:4]) + zstandard.ZstdCompressor().compress(bytes(raw)))
    except PayloadError as exc:
        if exc.code != "wire_body":
            raise


def test_another_version_is_refused_by_name():
    with pytest.raises(PayloadError, match=r"wire_version: version 2; this program reads 1"):
        decode_upload(body(version=2))


@pytest.mark.parametrize(
    "parts",
    [
        ("e", "0", 0, 5, [], {}, []),
        ("e", "0", 6, 5, [], {}, []),
        ("e", "0", 1, 5, [(1, 2)], {}, []),
        ("e", "0", 1, 5, [(4, 2**62)], {}, []),
        ("e", "0", 1, 5, [(2, 1), (1, 1)], {}, []),
        ("e", "0", 1, 5, [(1, 0)], {}, []),
        ("e", "0", 2, 5, [(1, 1)], {}, []),
        ("e", "0", "x", 5, [], {}, []),
        ("e", "0", 1, 5, [], {}, [["zzz", 1]]),
        ("e",),
    ],
)
def test_a_body_that_contradicts_itself_is_refused(parts):
    with pytest.raises(PayloadError, match="wire_body"):
        decode_upload(body(*parts))


def bomb(size: int) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(bytes(size))


def undeclared(size: int) -> bytes:
    compressor = zstandard.ZstdCompressor(level=19, write_content_size=False).compressobj()
    return compressor.compress(bytes(size)) + compressor.flush()


@pytest.mark.parametrize(
    "packed",
    [
        bomb(50 << 20),
        undeclared(50 << 20),
        bomb(9 << 20) * 8,
        zstandard.ZstdCompressor().compress(bomb(200 << 20)),
    ],
    ids=["declared", "undeclared", "many frames", "nested"],
)
def test_a_bomb_is_refused_without_being_blown_up(packed):
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError, match=r"too_large|wire_body"):
            decode_upload(b"TGU\x01" + packed)
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()


def test_the_cap_of_the_caller_is_kept():
    data = encode_upload(Upload("e", "0", 1, 1000, list(range(1, 1001)), readings(1, 1000)))
    with pytest.raises(PayloadError, match="too_large: more than 10000 bytes"):
        decode_upload(data, max_bytes=10_000)


def test_an_upload_that_would_be_refused_is_not_made():
    huge = [Reading("e", "d" * (1 << 20), "p", "m", n, n, {"n": n}) for n in range(70)]
    with pytest.raises(PayloadError, match="too_large"):
        encode_upload(Upload("e", "0", 1, 70, list(range(1, 71)), huge))


def test_a_receipt_is_json():
    receipt = UploadReceipt(3, 1, [(7, "nan")])
    assert encode_receipt(receipt) == b'{"accepted":3,"duplicate":1,"refused":[[7,"nan"]]}'
    assert decode_receipt(encode_receipt(receipt)) == receipt
    with pytest.raises(PayloadError, match="wire_receipt"):
        decode_receipt(b"<html>502</html>")
