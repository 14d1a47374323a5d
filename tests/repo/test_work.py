"""The work for a message does not grow unnoticed: calls are counted, which no busy machine changes.

Calls of Python and C functions, counted by the interpreter, for each message of a batch of the
plain environment sensor. A limit here is what the step takes, and a little room. Who needs more
raises it, and says in the commit what the work buys.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import mqtt5
import pytest

from collector.reception import Reception, Report
from collector.registry.bundle import judged
from collector.registry.changes import Changes, touched
from collector.timeseries.line import LineEncoder
from device_profiles.catalogue import load_catalogue
from edge_agent.arrival import Arrival
from edge_agent.config import load_edge_config
from edge_agent.draft import Draft
from edge_agent.knowledge import read_knowledge
from edge_agent.memory import SpoolMemory
from edge_agent.reader import Reader
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.rules import Rules
from edge_agent.sources.coap_message import CON, PUT, URI_PATH, Message, decode, encode
from edge_agent.sources.coap_request import Plain, read_request
from edge_agent.sources.commit_line import Load
from edge_agent.sources.listen.conversation import Conversation
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.mqtt5_session import Session5
from edge_agent.sources.redelivery import Redelivery
from edge_agent.taken import Taken
from edge_agent.ways import Ways
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from gateway_core.model import Batch, Record
from gateway_core.spool import SpoolOptions, open_spool
from gateway_core.spool.segment import chunk, pack
from gateway_core.wire import Upload, decode_upload, encode_upload
from tests.e2e.blast import encoded, fleet

MESSAGES, DEVICES = 1_000, 100


def calls(work: Callable[[], object]) -> float:
    """Calls of functions a message, Python's and C's."""
    count = 0

    def note(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count / MESSAGES


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, list[Record]]:
    """Calls to make arrivals records, after each device spoke before; and the records."""
    now, catalogue = time.time_ns(), load_catalogue([])
    spoken = fleet(DEVICES, 2 * MESSAGES, start_s=now // 10**9 - 600)
    arrivals = [
        Arrival("mqtt:site", topic, payload, now + n) for n, (topic, payload) in enumerate(spoken)
    ]
    register = Register(tmp_path_factory.mktemp("edge") / "registry.db")
    registry = Registry("sim", "", register, "register", DEVICES, time.time_ns)
    rules = Rules("sim", registry, catalogue.profiles, lambda _source: 0)
    memory = SpoolMemory(wall_ns, Meter())
    reader = Reader("sim", registry, Ways(catalogue), rules, Meter(), 1 << 18, memory)
    for arrival in arrivals[:MESSAGES]:
        reader.read(arrival, Draft())
    draft = Draft()
    found = calls(lambda: reader.plain.read(arrivals, MESSAGES, draft, Taken()))
    register.close()
    assert len(draft.records) == MESSAGES
    return found, draft.records


def test_an_mqtt_packet_becomes_an_arrival_with_at_most_10_calls() -> None:
    messages = fleet(DEVICES, MESSAGES, start_s=1_790_000_000)
    stream = memoryview(b"".join(encoded(messages)))

    def packets() -> None:
        session, load, at = Session5("mqtt:site", Redelivery("m/", 16_000, {}), 1 << 20), Load(), 0
        while at < len(stream):
            at += session.read(stream[at:], load, 0)
        assert len(load.arrivals) == MESSAGES

    assert calls(packets) <= 10


def test_what_a_device_publishes_is_known_marked_and_answered_with_at_most_7_calls() -> None:
    options = ListenSettings(anonymous=True)
    house = House(options, Sessions("listen/d/", 256, 100, {}, 0), Policy())
    talk, load = Conversation(house, lambda _talk: None), Load()
    talk.read(mqtt5.ConnectPacket("d1", session_expiry_interval=3600).write(), load, 0)
    talk.admit("d1", None)
    packets = encoded([("tg/d1/up", b'{"temperature":21.5}')] * MESSAGES)
    reads = [b"".join(packets[at : at + 20]) for at in range(0, MESSAGES, 20)]

    def hear() -> None:
        for data in reads:
            talk.read(data, load, 0)
            talk.acknowledged(20)

    assert calls(hear) <= 7
    assert (len(load.arrivals), len(b"".join(load.marks))) == (MESSAGES, 14 * MESSAGES)


def test_a_plain_coap_request_is_found_with_at_most_6_calls() -> None:
    path = ((URI_PATH, b"tg"), (URI_PATH, b"d1"))
    asked = [encode(Message(CON, PUT, n, b"t", path, b"%d" % n)) for n in range(MESSAGES)]
    plain, first = Plain(), decode(asked[0])
    plain.learn(asked[0], read_request(first), first.payload)
    assert calls(lambda: [plain.find(data) for data in asked]) <= 6


def test_an_arrival_becomes_a_record_with_at_most_17_calls(read) -> None:
    assert read[0] <= 17.1


def test_records_are_encoded_for_spool_and_upload_in_batches(read) -> None:
    records = read[1]
    seqs = list(range(1, MESSAGES + 1))
    assert calls(lambda: pack(1, 0, [chunk(records)])) <= 0.1
    upload = Upload("sim", "0" * 16, 1, MESSAGES, seqs, records)
    assert calls(lambda: encode_upload(upload)) <= 0.1


def test_the_policy_lets_a_record_go_with_at_most_6_calls(read, tmp_path: Path) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text("edge: {id: sim, data_dir: ./var}\n")
    policy = read_knowledge(load_edge_config(config), strict=True).policy
    batch = Batch(1, read[1])
    policy.release(batch)
    assert calls(lambda: policy.release(batch)) <= 6


def test_a_record_becomes_a_line_with_at_most_2_2_calls(read) -> None:
    encoder, batch = LineEncoder(), Batch(1, read[1])
    encoder.encode_batch(batch)
    assert calls(lambda: encoder.encode_batch(batch)) <= 2.2


def test_the_registry_folds_ten_readings_of_a_device_with_at_most_10_calls_each(read) -> None:
    batch = Batch(1, read[1])

    def fold() -> None:
        items, rejected = judged(batch.first, batch.records)
        assert (len(items), rejected) == (DEVICES, [])
        assert len(touched(items)["devices"]) == DEVICES
        Changes().take(items)

    fold()
    assert calls(fold) <= 10


async def test_an_upload_is_taken_without_a_call_for_each_record(read, tmp_path: Path) -> None:
    upload = Upload("sim", "0" * 16, 1, MESSAGES, list(range(1, MESSAGES + 1)), read[1])
    body = encode_upload(upload)
    async with open_spool(tmp_path / "spool.db", "centre", SpoolOptions(group_commit_s=0)) as spool:
        reception = Reception(spool, wall_ns, 10)

        async def take() -> None:
            await reception.receive(decode_upload(body), Report())

        task = take()
        assert calls(lambda: task.send(None)) <= 0.2  # up to the commit, which a thread does
        task.close()
