"""Sparkplug B: values mean what the specification says, whoever wrote them and whatever is sent."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device_profiles.codecs import Context, Message, SpecError, compile_decode
from device_profiles.codecs.sparkplug import Names, Session, device_captures
from device_profiles.codecs.sparkplug_wire import parse_payload
from device_profiles.memory import MemoryOfOne
from gateway_core.errors import PayloadError
from tests.fakes.sparkplug import PAYLOAD, made

DECODE = compile_decode([{"sparkplug-b": {}}])
AT = 1_700_000_000_000_000_000
TAHU = (  # written by the Python module of Eclipse Tahu (PyPI tahu 0.1.2) with protobuf 3.19.1
    "0880d095ffbc31121f0a1254656d70657261747572652f537570706c791880d095ffbc312009380112100a02693818"
    "80d095ffbc31200150ff0112140a036933321880d095ffbc31200350c0bbf8ff0f12190a036936341880d095ffbc31"
    "200458809ce8afedffffffff0112100a0275381880d095ffbc31200550ff0112140a037533321880d095ffbc312007"
    "50ffffffff0f12190a037536341880d095ffbc31200858ffffffffffffffffff0112160a047768656e1880d095ffbc"
    "31200d5880d095ffbc3112130a046e6f74651880d095ffbc31200e7a026f6b12330a0269641880d095ffbc31200f7a"
    "2431323365343536372d653839622d313264332d613435362d34323636313431373430303012130a03726177188"
    "0d095ffbc31201182010201fe12490a057461626c651880d095ffbc3120108a013608021205496e743873120552656"
    "16c731801180a220f0a0208070a0921000000000000f83f220f0a0208080a09210000000000000440122f0a056d6f7"
    "46f721880d095ffbc31201392011c12110a0372706d1880d095ffbc31200350aa0b22054d6f746f7228001805"
)


class Node:
    """One edge node's messages to one decoder."""

    def __init__(self, decode: Any = DECODE) -> None:
        self.decode = decode
        self.memory = MemoryOfOne()
        self.now = AT

    def hears(self, kind: str, payload: bytes, device: str = "") -> Message:
        known = {"group": "g", "node": "n", **({"name": device} if device else {})}
        context = Context(device_captures(known, kind), self.now, memory=self.memory)
        return self.decode(payload, context)

    def value(self, **metric: Any) -> Any:
        found = self.hears("NDATA", made({"name": "x", **metric}))
        return found.named[0].values["x"]


def test_what_another_implementation_writes_is_read() -> None:
    found = Node().hears("DDATA", bytes.fromhex(TAHU), "d")
    assert found.named[0].values == {
        "Temperature/Supply": None,
        "i8": -1,
        "i32": -123456,
        "i64": -5000000000,
        "u8": 255,
        "u32": 4294967295,
        "u64": 18446744073709551615,
        "when": 1700000000000,
        "note": "ok",
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "raw": "01fe",
        "table": {"rows": [{"Int8s": 7, "Reals": 1.5}, {"Int8s": 8, "Reals": 2.5}]},
        "motor": {"rpm": 1450},
    }


@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (2, 16), (3, 32), (4, 64)])
@given(data=st.data())
def test_negative_numbers_come_back_narrow_or_sign_extended(
    kind: int, bits: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
    field, wire = ("long_value", 64) if bits == 64 else ("int_value", 32)
    assert Node().value(datatype=kind, **{field: number % (1 << bits)}) == number
    assert Node().value(datatype=kind, **{field: number % (1 << wire)}) == number


@given(st.integers(0, 2**64 - 1), st.floats(allow_nan=False), st.text(), st.booleans())
def test_other_scalars_come_back_as_they_were(
    number: int, real: float, text: str, flag: bool
) -> None:
    node = Node()
    assert node.value(datatype=8, long_value=number) == number
    assert node.value(datatype=10, double_value=real) == real
    assert node.value(datatype=12, string_value=text) == text
    assert node.value(datatype=11, boolean_value=flag) is flag


def test_arrays_are_packed_little_endian() -> None:
    node = Node()
    assert node.value(datatype=22, bytes_value=b"\xe9\x7b") == [-23, 123]
    assert node.value(datatype=24, bytes_value=struct.pack("<2i", 123456789, -9)) == [123456789, -9]
    assert node.value(datatype=31, bytes_value=struct.pack("<d", 1.5)) == [1.5]
    assert node.value(datatype=33, bytes_value=b"ABC\0hello\0") == ["ABC", "hello"]
    bits = b"\x0c\0\0\0" + bytes([0b00110100, 0b10110000])
    bools = [False, False, True, True, False, True, False, False, True, False, True, True]
    assert node.value(datatype=32, bytes_value=bits) == bools


@pytest.mark.parametrize("raw", [b"\x01\x02\x03", b""])
def test_an_array_that_is_none_is_refused(raw: bytes) -> None:
    kind = 24 if raw else 32
    wanted = b"\xff\xff\xff\x7f" + raw if kind == 32 else raw
    with pytest.raises(PayloadError, match="not_sparkplug"):
        Node().value(datatype=kind, bytes_value=wanted)


def test_a_whole_number_without_a_type_is_not_guessed() -> None:
    found = Node().hears("NDATA", made({"name": "x", "int_value": 2**32 - 5}))
    assert found.unread == ("unknown_alias", "no birth told what these are: x")
    assert Node().value(int_value=5) == 5


def test_a_birth_gives_the_type_that_data_leaves_out() -> None:
    node = Node()
    node.hears("NBIRTH", made({"name": "x", "alias": 4, "datatype": 2, "int_value": 0}, seq=0))
    found = node.hears("NDATA", made({"alias": 4, "int_value": 2**16 - 5}, seq=1))
    assert found.numbered[0].values == {"x": -5}


def test_each_metric_has_its_own_time_and_history_says_so() -> None:
    found = Node().hears(
        "NDATA",
        made(
            {
                "name": "a",
                "double_value": 1.0,
                "timestamp": 1_600_000_000_000,
                "is_historical": True,
            },
            {"name": "b", "double_value": 2.0},
        ),
    )
    assert [(p.time_ns, p.history, p.values) for p in found.named] == [
        (1_600_000_000_000_000_000, True, {"a": 1.0}),
        (1_700_000_000_000_000_000, False, {"b": 2.0}),
    ]


def test_sequence_numbers_go_round_and_a_gap_is_seen_once() -> None:
    node = Node()
    node.hears("NBIRTH", made(seq=0))
    gaps = [node.hears("NDATA", made(seq=seq % 256)).flags for seq in [*range(1, 258), 260, 261]]
    assert gaps == [()] * 257 + [("seq:gap",), ()]


def test_births_are_asked_for_once_a_minute_and_not_when_they_are_known() -> None:
    node = Node()
    first = node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=5))
    assert [ask.topic for ask in first.asks] == ["spBv1.0/g/NCMD/n"]
    asked = PAYLOAD.FromString(first.asks[0].payload)
    assert [(m.name, m.datatype, m.boolean_value) for m in asked.metrics] == [
        ("Node Control/Rebirth", 11, True)
    ]
    assert node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=6)).asks == ()
    node.now += 60_000_000_000
    assert len(node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=7)).asks) == 1
    node.hears("NBIRTH", made({"name": "x", "alias": 1, "datatype": 5}, seq=0))
    node.now += 60_000_000_000
    assert node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=1)).asks == ()


def test_a_profile_may_forbid_asking() -> None:
    silent = Node(compile_decode([{"sparkplug-b": {"rebirth": False}}]))
    assert silent.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=5)).asks == ()


def test_a_birth_that_was_asked_for_is_good_for_what_came_before_it() -> None:
    node = Node()
    node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=5))
    node.now += 5
    node.hears("NBIRTH", made({"name": "x", "alias": 1, "datatype": 5}, seq=0))
    node.now -= 5  # a replay
    assert node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=5)).numbered[0].values == {
        "x": 1
    }
    node.now -= 1  # before anything of this session
    assert node.hears("NDATA", made({"alias": 1, "int_value": 1}, seq=5)).unread is not None


def test_a_new_session_forgets_what_the_devices_of_the_old_one_meant() -> None:
    node = Node()
    bd = {"name": "bdSeq", "datatype": 4}
    node.hears("NBIRTH", made({**bd, "long_value": 1}, seq=0))
    node.hears("DBIRTH", made({"name": "x", "alias": 1, "datatype": 5}, seq=1), "d")
    node.hears("NBIRTH", made({**bd, "long_value": 1}, seq=0))
    assert node.hears("DDATA", made({"alias": 1, "int_value": 1}, seq=1), "d").unread is None
    node.hears("NBIRTH", made({**bd, "long_value": 2}, seq=0))
    assert node.hears("DDATA", made({"alias": 1, "int_value": 1}, seq=1), "d").unread is not None


def test_a_death_takes_the_devices_along_and_leaves_nothing_behind() -> None:
    node = Node()
    node.hears("NBIRTH", made({"name": "bdSeq", "datatype": 4, "long_value": 1}, seq=0))
    for device in ("a", "b", "c"):
        node.hears("DBIRTH", made(seq=1), device)
    node.hears("DDEATH", made(seq=2), "b")
    found = node.hears("NDEATH", made({"name": "bdSeq", "datatype": 4, "long_value": 1}))
    assert (found.online, [(one["device"], there) for one, there in found.also]) == (
        False,
        [("g:n:a", False), ("g:n:c", False)],
    )
    assert node.memory.get("sparkplug/g/n", Session) is None
    assert node.memory.get("sparkplug-names/g/n/a", Names) is None


def test_names_that_no_id_may_have_are_written_so_that_they_can_be_read_back() -> None:
    known = device_captures({"group": "Werk 4", "node": "a:b", "name": "泵"}, "DDATA")
    assert known["device"] == "Werk~204:a~3ab:_~e6~b3~b5"


@given(st.binary(max_size=400))
@example(b"\x12\x02\x0a\xff")
@example(bytes.fromhex("12 07 92 01 04 12 02 0a ff"))
def test_any_bytes_give_a_message_or_a_payload_error(data: bytes) -> None:
    for kind, device in (("NDATA", ""), ("DBIRTH", "d"), ("NDEATH", "")):
        with contextlib.suppress(PayloadError):
            assert isinstance(Node().hears(kind, data, device), Message)


@given(st.integers(0, len(TAHU) // 2 - 1), st.integers(0, 255))
def test_a_damaged_payload_gives_a_message_or_a_payload_error(at: int, byte: int) -> None:
    data = bytearray.fromhex(TAHU)
    data[at] = byte
    with contextlib.suppress(PayloadError):
        Node().hears("DBIRTH", bytes(data), "d")


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["", "bdSeq", "x"]),
                "alias": st.integers(0, 3),
                "timestamp": st.integers(0, 2**64 - 1),
                "datatype": st.integers(0, 40),
                "is_historical": st.booleans(),
                "is_null": st.booleans(),
                "int_value": st.integers(0, 2**32 - 1),
                "long_value": st.integers(0, 2**64 - 1),
                "float_value": st.floats(width=32),
                "string_value": st.text(max_size=3),
                "bytes_value": st.binary(max_size=9),
            },
        ),
        max_size=3,
    )
)
@example([{"name": "bdSeq", "long_value": 2**63}])
def test_any_fields_of_metrics_give_a_message_or_a_payload_error(
    metrics: list[dict[str, Any]],
) -> None:
    node = Node()
    for kind, device in (("NBIRTH", ""), ("DBIRTH", "d"), ("NDATA", ""), ("NDEATH", "")):
        with contextlib.suppress(PayloadError):
            assert isinstance(node.hears(kind, made(*metrics, seq=1), device), Message)


def test_a_session_number_that_may_be_negative_is_none() -> None:
    node = Node()
    untyped = made({"name": "bdSeq", "long_value": 2**63}, seq=0)
    assert node.hears("NBIRTH", untyped).online is True
    assert node.memory.get("sparkplug/g/n", Session) == Session(0, None, AT, born=True, since=AT)
    assert node.hears("NDEATH", untyped).online is False


def test_a_property_whose_type_nobody_knows_is_left_out() -> None:
    pairs = b"\x0a\x01p\x0a\x01q"  # the keys; then the values: UInt32 5, and 2^31 of type 99
    pairs += bytes.fromhex("12 04 08 07 18 05 12 08 08 63 18 80 80 80 80 08")
    metric = b"\x0a\x01x\x20\x07\x50\x01\x4a" + _length(pairs) + pairs
    found = Node().hears("NDATA", b"\x12" + _length(metric) + metric)
    assert found.named[0].values == {"x": 1, "x#p": 5}


def test_templates_within_templates_end_somewhere() -> None:
    inner = made({"name": "x", "int_value": 1})[7:]
    for _ in range(40):
        body = b"\x92\x01" + _length(inner) + inner  # template_value
        metric = b"\x0a\x01t" + body
        inner = b"\x12" + _length(metric) + metric  # metrics of the template around it
    with pytest.raises(PayloadError, match="not_sparkplug"):
        Node().hears("NDATA", inner)


def _length(data: bytes) -> bytes:
    size, out = len(data), bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])


def test_a_wrong_specification_has_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        compile_decode([{"sparkplug-b": {"rebirth": "yes"}}])
    assert caught.value.path == (0, "sparkplug-b", "rebirth")
    with pytest.raises(SpecError, match="did you mean 'rebirth'"):
        compile_decode([{"sparkplug-b": {"rebirht": True}}])


def test_a_name_that_is_not_utf8_refuses_the_payload():
    with pytest.raises(PayloadError) as found:
        parse_payload(b"\x12\x03\x0a\x01\xff")
    assert found.value.code == "not_sparkplug"
