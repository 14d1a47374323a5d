"""Requests found by what was read before are read as they would be read the long way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import FormatError, Message, decode, encode
from edge_agent.sources.coap_request import Declined, Plain, Request, read_request

PATH = ((coap.URI_PATH, b"tg"), (coap.URI_PATH, b"d1"), (coap.URI_PATH, b"up"))
JSON = (coap.CONTENT_FORMAT, b"\x32")


def put(
    payload: bytes, *options: tuple[int, bytes], token: bytes = b"t", kind: int = coap.CON
) -> bytes:
    return encode(Message(kind, coap.PUT, 7, token, (*PATH, *options), payload))


def learned(data: bytes) -> Plain:
    plain, message = Plain(), decode(data)
    plain.learn(data, read_request(message), message.payload)
    return plain


def test_the_same_path_and_format_are_found_with_another_token_and_payload() -> None:
    plain = learned(put(b'{"t":1}', JSON))
    later = put(b'{"t":\xff2}', JSON, token=b"another", kind=coap.NON)
    assert plain.find(later) == (Request("tg/d1/up", 50), b'{"t":\xff2}')


def test_another_path_and_another_format_are_not_found() -> None:
    plain = learned(put(b"{}", JSON))
    assert plain.find(put(b"{}")) is None
    assert plain.find(put(b"{}", JSON, (coap.URI_QUERY, b"a"))) is None


def test_blocks_sizes_and_wishes_for_silence_are_read_the_long_way() -> None:
    for option in ((coap.BLOCK1, b"\x08"), (coap.SIZE1, b"\x10"), (coap.NO_RESPONSE, b"\x02")):
        data = put(bytes(16), option)
        assert learned(data).find(data) is None


def test_an_option_that_holds_the_marker_byte_is_not_remembered() -> None:
    data = put(b"{}", (coap.URI_QUERY, b"a\xffb"))
    assert len(learned(data)) == 0


def test_a_get_and_a_payload_that_is_missing_are_read_the_long_way() -> None:
    plain = learned(put(b"{}", JSON))
    assert plain.find(encode(Message(coap.CON, coap.GET, 7, b"t", (*PATH, JSON), b"{}"))) is None
    assert plain.find(put(b"{}", JSON)[:-2]) is None


def test_what_is_remembered_is_bounded() -> None:
    plain = Plain(most=3)
    for number in range(10):
        data = encode(Message(coap.CON, coap.PUT, 7, b"", ((coap.URI_PATH, b"%d" % number),), b"x"))
        plain.learn(data, read_request(decode(data)), b"x")
        assert len(plain) <= 3
        assert plain.find(data) == (Request(str(number)), b"x")


values = st.binary(max_size=20) | st.sampled_from([b"\xff", b"a\xff", b"\xff\xff", b"2"])
options = st.lists(
    st.tuples(st.sampled_from([3, 11, 11, 11, 12, 15, 17, 23, 27, 60, 65, 258, 292]), values),
    max_size=5,
).map(lambda found: sorted(found, key=lambda pair: pair[0]))
messages = st.builds(
    lambda kind, code, token, options, payload: encode(
        Message(kind, code, 9, token, options, payload)
    ),
    st.integers(0, 3),
    st.sampled_from([coap.PUT, coap.POST, coap.GET]),
    st.binary(max_size=8),
    options,
    st.binary(max_size=12) | st.just(b"\xff"),
)


@given(st.lists(messages, max_size=6), st.data())
def test_whatever_was_read_before_nothing_is_found_that_the_long_way_would_not_say(
    before: list[bytes], data: st.DataObject
) -> None:
    plain = Plain()
    for each in before:
        message = decode(each)
        try:
            plain.learn(each, read_request(message), message.payload)
        except Declined:
            continue
    asked = data.draw(st.sampled_from(before) if before else messages)
    cut = data.draw(st.integers(0, len(asked)))
    for each in (asked, asked[:cut], asked[:cut] + b"\xff" + asked[cut:]):
        found = plain.find(each)
        if found is None:
            continue
        try:
            message = decode(each)
        except FormatError as exc:
            raise AssertionError(f"found what is no message: {each!r}") from exc
        assert found == (read_request(message), message.payload)
        assert message.kind in (coap.CON, coap.NON)
