"""Promise: a raw store is read in order, from any moment on; damage costs one block and is told."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.arrival import Arrival
from edge_agent.raw.block import HEAD_BYTES, Head, Packer, RawMessage, Span, encode_commit, unpack
from edge_agent.raw.reader import Damage, RawReader
from edge_agent.raw.shelf import RawShelf
from tests.fakes.edge import NOW

text = st.text(max_size=12)
arrivals = st.builds(
    Arrival,
    source=text,
    address=text,
    payload=st.binary(max_size=40),
    received=st.integers(0, 2**62),
    content_format=st.none() | st.integers(0, 65535),
    via=st.sampled_from(["mqtt", "coap"]),
    cut=st.booleans(),
)
messages = st.builds(RawMessage, arrivals, st.integers(0, 2**62), text, text)


def block(*found: RawMessage) -> tuple[bytes, Span]:
    times = [one.arrival.received for one in found]
    span = Span(len(found), min(times), max(times))
    commit = encode_commit(
        [one.arrival for one in found],
        [one.received for one in found],
        [one.profile for one in found],
        [one.refusal or None for one in found],
    )
    return Packer().pack([commit], span), span


def message(n: int) -> RawMessage:
    return RawMessage(Arrival("mqtt:site", "t", b"%d" % n, NOW + n), NOW + n, "a/b")


def write(folder: Path, *blocks: list[RawMessage]) -> Path:
    """Write blocks to one file; return it."""
    shelf = RawShelf(folder, 1 << 20)
    for each in blocks:
        shelf.append(*block(*each))
    shelf.close()
    return shelf.files[-1].path


def numbers(reader: RawReader, **limits: int) -> list[int]:
    return [int(one.arrival.payload) for one in reader.read(**limits)]


@settings(max_examples=100)
@given(st.lists(messages, min_size=1, max_size=8))
def test_what_is_unpacked_is_what_was_packed(found):
    data, span = block(*found)
    head = Head.parse(data)
    assert (head.count, head.oldest, head.newest) == (span.count, span.oldest, span.newest)
    assert list(unpack(head, data[HEAD_BYTES:])) == found


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_are_read_to_the_end_without_an_error(tmp_path_factory, data, at, byte):
    sound = bytearray(block(message(1), message(2))[0])
    if at < len(sound):
        sound[at] = byte
    folder = tmp_path_factory.mktemp("raw")
    (folder / "000000000001.tgraw").write_bytes(data + bytes(sound) + data)
    (folder / "000000000002.tgraw").write_bytes(block(message(3))[0])
    assert numbers(RawReader(folder))[-1] == 3


def test_damage_costs_the_block_it_is_in_and_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, [message(1)], [message(2), message(3)], [message(4)])
    data = bytearray(file.read_bytes())
    second = len(block(message(1))[0])
    data[second + HEAD_BYTES + 3] ^= 0xFF
    file.write_bytes(data)
    told: list[Damage] = []
    assert numbers(RawReader(tmp_path, told.append)) == [1, 4]
    assert told == [Damage(file, second, "the CRC32C does not match")]
    assert str(told[0]) == f"{file}: at byte {second}: the CRC32C does not match"


def test_a_block_that_a_crash_cut_short_is_told_once_another_file_follows(tmp_path: Path) -> None:
    file = write(tmp_path, [message(1)], [message(2)])
    file.write_bytes(file.read_bytes()[:-5])
    told: list[Damage] = []
    reader = RawReader(tmp_path, told.append)
    assert numbers(reader) == [1]
    assert told == []
    write(tmp_path, [message(3)])
    assert numbers(reader) == [3]
    assert [each.why for each in told] == ["the file ends within a block"]


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    write(tmp_path, [message(1)])
    reader = RawReader(tmp_path)
    assert numbers(reader) == [1]
    write(tmp_path, [message(2)])
    assert numbers(reader) == [2]
    assert numbers(RawReader(tmp_path, place=reader.place)) == []


def test_a_reader_that_skipped_sees_only_what_is_new(tmp_path: Path) -> None:
    write(tmp_path, [message(1)])
    reader = RawReader(tmp_path)
    reader.skip_all()
    write(tmp_path, [message(2)])
    assert numbers(reader) == [2]


def test_only_the_wanted_time_is_read(tmp_path: Path) -> None:
    write(tmp_path, [message(1), message(2)], [message(3), message(4)])
    assert numbers(RawReader(tmp_path), since=NOW + 2, until=NOW + 4) == [2, 3]


def test_a_file_that_is_retired_under_the_reader_is_passed_over(tmp_path: Path) -> None:
    gone = write(tmp_path, [message(1)])
    write(tmp_path, [message(2)])
    reading = RawReader(tmp_path).read()
    first = next(reading)
    assert first.arrival.payload == b"1"
    gone.unlink()
    assert [int(one.arrival.payload) for one in reading] == [2]


def test_a_reader_whose_files_are_all_retired_under_it_ends(tmp_path: Path) -> None:
    gone = [write(tmp_path, [message(1)]), write(tmp_path, [message(2)])]
    reading = RawReader(tmp_path).read()
    assert next(reading).arrival.payload == b"1"
    for file in gone:
        file.unlink()
    assert list(reading) == []
