"""The promise: any datagram is either a CoAP message, or refused as none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import FormatError, Message, decode, encode
from edge_agent.sources.coap_request import Block, Declined, Request, read_request

# RFC 7252 appendix A: figures 16, 17 and 20 to the byte
GOLDEN = [
    (
        b"\x40\x01\x7d\x34\xbbtemperature",
        Message(coap.CON, coap.GET, 0x7D34, b"", [(11, b"temperature")]),
    ),
    (
        b"\x60\x45\x7d\x34\xff22.3 C",
        Message(coap.ACK, coap.code("2.05"), 0x7D34, b"", [], b"22.3 C"),
    ),
    (
        b"\x41\x01\x7d\x35\x20\xbbtemperature",
        Message(coap.CON, coap.GET, 0x7D35, b"\x20", [(11, b"temperature")]),
    ),
    (
        b"\x61\x45\x7d\x35\x20\xff22.3 C",
        Message(coap.ACK, coap.code("2.05"), 0x7D35, b"\x20", [], b"22.3 C"),
    ),
    (b"\x60\x00\x7d\x38", Message(coap.ACK, coap.EMPTY, 0x7D38, b"", [])),
]


@pytest.mark.parametrize(("data", "message"), GOLDEN)
def test_the_examples_of_the_rfc_read_and_write_to_the_byte(data: bytes, message: Message) -> None:
    assert decode(data) == message
    assert encode(message) == data


@pytest.mark.parametrize(
    ("data", "reset"),
    [
        (b"", None),
        (b"\x40\x01\x00", None),
        (b"\x80\x01\x00\x01", None),  # version 2 is ignored silently (section 3)
        (b"\x49\x01\x00\x01" + bytes(9), 1),  # token lengths 9 to 15 are reserved
        (b"\x44\x01\x00\x01ab", 1),
        (b"\x40\x00\x00\x02x", 2),  # an empty message is empty
        (b"\x40\x01\x00\x03\xff", 3),  # a marker without a payload
        (b"\x40\x01\x00\x04\xf0", 4),  # reserved delta
        (b"\x40\x01\x00\x05\x0f", 5),  # reserved length
        (b"\x40\x01\x00\x06\xd0", 6),  # cut
        (b"\x40\x01\x00\x07\xb5abc", 7),
        (b"\x40\x01\x00\x08\xe0\xff\xff", 8),  # option number beyond 16 bits
        (b"\x50\x01\x00\x09\xff", None),  # not confirmable: no reset
    ],
)
def test_what_is_no_message_is_refused(data: bytes, reset: int | None) -> None:
    with pytest.raises(FormatError) as caught:
        decode(data)
    assert caught.value.reset == reset
    assert caught.value.code == "not_coap"


@given(st.binary(max_size=80))
def test_any_datagram_is_a_message_or_refused(data: bytes) -> None:
    try:
        message = decode(data)
    except FormatError:
        return
    assert encode(message) == data or len(encode(message)) <= len(data)
    with contextlib.suppress(Declined):
        assert isinstance(read_request(message), Request)


@given(st.binary(min_size=1, max_size=60), st.sampled_from([0x40, 0x41, 0x50, 0x60]))
def test_bytes_behind_a_header_are_a_message_or_refused(rest: bytes, head: int) -> None:
    data = bytes((head, 3, 0, 1)) + rest
    reset: int | None = 1
    try:
        decode(data)
    except FormatError as exc:
        reset = exc.reset
    else:
        return
    assert reset == (1 if head < 0x50 else None)


options = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=6).map(
    lambda each: sorted(each, key=lambda option: option[0])
)


@given(
    st.integers(0, 3),
    st.integers(1, 255),
    st.integers(0, 0xFFFF),
    st.binary(max_size=8),
    options,
    st.binary(max_size=50),
)
def test_a_message_that_was_written_reads_the_same(
    kind: int,
    code: int,
    message_id: int,
    token: bytes,
    opts: list[tuple[int, bytes]],
    payload: bytes,
) -> None:
    message = Message(kind, code, message_id, token, opts, payload)
    assert decode(encode(message)) == message


def _put(*opts: tuple[int, bytes]) -> Message:
    return Message(coap.CON, coap.PUT, 1, b"", opts, b"x")


def test_path_format_block_and_silence_are_read() -> None:
    asked = read_request(
        _put((11, b"tg"), (11, "站".encode()), (12, b"\x6e"), (27, b"\x1e"), (60, b"\x01\x00"),
             (258, b"\x1a"))
    )  # fmt: skip
    assert asked == Request("tg/站", 110, Block(1, True, 1024, b"\x1e"), 256, 26)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Message(coap.CON, coap.GET, 1), "4.05"),
        (Message(coap.CON, 4, 1), "4.05"),
        (_put((9, b"oscore")), "4.02"),
        (_put((1, b"if-match")), "4.02"),
        (_put((11, b"\xff")), "4.02"),
        (_put((11, b"a/b")), "4.00"),
        (_put(*[(11, b"x" * 255)] * 3), "4.00"),
        (_put((27, b"\x07")), "4.00"),
        (_put((27, b"\x00\x00\x00\x00")), "4.02"),
        (_put((35, b"coap://elsewhere")), "5.05"),
    ],
)
def test_a_request_that_cannot_be_served_is_declined(message: Message, code: str) -> None:
    with pytest.raises(Declined) as caught:
        read_request(message)
    assert coap.dotted(caught.value.verdict.code) == code


def test_an_unknown_elective_option_is_passed_over() -> None:
    assert read_request(_put((11, b"a"), (2048, b"?"))).path == "a"
