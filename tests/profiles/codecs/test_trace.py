"""The promise: a trace names the bytes that every value came from, escapes and lists included."""

from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.checksum import xor8
from device_profiles.codecs.trace import Trace, compiled_under
from gateway_core.errors import PayloadError


def traced(steps, payload, context=None):
    trace = Trace()
    with compiled_under(trace):
        decode = compile_decode(steps)
    trace.begin(payload)
    try:
        decode(payload, context or Context())
    except PayloadError as exc:
        return trace, exc.code
    return trace, None


def spans(trace):
    return [
        (s.start, s.end, s.kind, s.path, s.value)
        for s in sorted(trace.blocks[-1].spans, key=lambda s: s.start)
    ]


def test_a_struct_names_its_fields_and_what_nobody_read():
    steps = [
        {
            "struct": {
                "fields": [{"a": "u8"}, "skip1", {"b": {"type": "u16", "at": 4}}],
                "rest": "ignore",
            }
        }
    ]
    trace, _ = traced(steps, bytes.fromhex("01ff aaaa 0102 0304"))
    assert spans(trace) == [
        (0, 1, "field", "a", 1),
        (1, 2, "skip", "", None),
        (4, 6, "field", "b", 258),
    ]
    assert trace.blocks[0].unread() == [(2, 4), (6, 8)]


def test_a_keyed_stream_names_keys_lengths_and_records():
    steps = [
        {
            "tlv": {
                "key": ["u8"],
                "len": "u8",
                "unknown": "skip",
                "cases": {"01": {"list": "history", "fields": [{"t": "u8"}]}, "02": [{"x": "u16"}]},
            }
        }
    ]
    trace, _ = traced(steps, bytes.fromhex("010107 010108 7701ee"))
    assert spans(trace) == [
        (0, 1, "key", "01", "01"), (1, 2, "length", "01", 1), (2, 3, "field", "history[0].t", 7),
        (3, 4, "key", "01", "01"), (4, 5, "length", "01", 1), (5, 6, "field", "history[1].t", 8),
    ]  # fmt: skip
    assert trace.blocks[0].unread() == [(6, 9)]
    assert [place[-1] for place in trace.reachable] == ["01", "02", "tlv"]
    assert {place[-1] for place in trace.reached} == {"01", "tlv"}


def test_values_within_an_escaped_frame_are_found_where_they_were_sent():
    inner = bytes.fromhex("0001 0003 000000000001 0009 7e7d05")
    inner += bytes([xor8(inner)])
    frame = b"\x7e" + inner.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"
    steps = [{"frame": "jt808"}, {"struct": {"fields": [{"a": "u16"}, {"b": "u8"}]}}]
    trace, _ = traced(steps, frame)
    found = {s.path: (s.start, s.end, s.value) for s in trace.blocks[0].spans}
    assert found["msg_id"] == (1, 3, 1)
    assert found["a"] == (13, 17, 0x7E7D)
    assert found["b"] == (17, 18, 5)
    assert trace.blocks[0].unread() == []


def test_repeated_records_and_conditional_fields_are_told_apart():
    steps = [
        {
            "struct": {
                "fields": [
                    {"n": "u8"},
                    {"extra": {"type": "u8", "when": "n == 9"}},
                    {"rows": {"repeat": {"count": "n", "fields": [{"v": "u8"}]}}},
                ]
            }
        }
    ]
    trace, _ = traced(steps, bytes.fromhex("020506"))
    assert spans(trace)[1:] == [(1, 2, "field", "rows[0].v", 5), (2, 3, "field", "rows[1].v", 6)]
    assert [place[-1] for place in trace.reachable if place not in trace.reached] == ["extra"]


def test_what_was_read_before_a_payload_ended_too_early_is_still_named():
    trace, code = traced([{"struct": {"fields": [{"a": "u8"}, {"b": "u16"}]}}], b"\x01\x02")
    assert code == "truncated"
    assert spans(trace) == [(0, 1, "field", "a", None)]
    assert trace.blocks[0].unread() == [(1, 2)]


def test_bytes_that_a_json_member_carried_get_a_block_of_their_own():
    steps = [
        {"json": {"payload": "data", "encoding": "hex"}},
        {"struct": {"fields": [{"a": "u8"}]}},
    ]
    trace, _ = traced(steps, b'{"data": "07"}')
    assert [block.what for block in trace.blocks] == ["payload", "data within json"]
    assert spans(trace) == [(0, 1, "field", "a", 7)]


def test_codecs_compiled_without_a_trace_enter_nothing():
    decode = compile_decode([{"struct": {"fields": [{"a": "u8"}]}}])
    trace = Trace()
    trace.begin(b"\1")
    assert decode(b"\1", Context()) == {"a": 1}
    assert trace.blocks[0].spans == []
