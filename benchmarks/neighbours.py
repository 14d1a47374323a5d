"""Need: what a site would otherwise run or write for the same step, measured in the same run.

Each function does the neighbour's part of one row of the table (`benchmarks/run`) on the messages
of `benchmarks/steps.py`, and returns CPU microseconds a message.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
import psutil
from influxdb_client import Point, WritePrecision
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agent import cpu_s
from benchmarks.steps import COMMIT, DEVICES, MESSAGES, best
from tests.e2e.blast import Blaster, encoded, fleet
from tests.e2e.city import City

Spoken = list[tuple[str, bytes]]


def spoken() -> Spoken:
    """Topic and payload of each message."""
    return list(fleet(DEVICES, MESSAGES, start_s=int(time.time()) - 600))


def handwritten(messages: Spoken) -> float:
    """Decode with `json.loads` and a dictionary of checked numbers, as a script would."""

    def decode() -> None:
        for topic, payload in messages:
            said = json.loads(payload)
            device = topic.split("/")[1]
            fields = {}
            for name in ("temperature", "humidity"):
                if isinstance(said.get(name), int | float):
                    fields[name] = float(said[name])
            for name in ("battery", "seq"):
                if isinstance(said.get(name), int):
                    fields[name] = said[name]
            _ = {"device": device, "time": said["ts"], "fields": fields}

    return best(decode)


def rows(messages: Spoken) -> tuple[float, float]:
    """Store a row a message in SQLite with FULL sync; also return bytes on disk a message."""
    values = []
    for topic, payload in messages:
        said = json.loads(payload)
        device, time_ns = topic.split("/")[1], int(said["ts"] * 1e9)
        values.append((device, time_ns, said["temperature"], said["humidity"], said["battery"]))
    size = 0.0

    def append() -> None:
        nonlocal size
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.db"
            with sqlite3.connect(path, isolation_level=None) as db:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                db.execute("CREATE TABLE points (device, time, temperature, humidity, battery)")
                for at in range(0, len(values), COMMIT):
                    db.execute("BEGIN")
                    db.executemany(
                        "INSERT INTO points VALUES (?, ?, ?, ?, ?)", values[at : at + COMMIT]
                    )
                    db.execute("COMMIT")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()
            size = path.stat().st_size / len(values)

    return best(append), size


def points(messages: Spoken) -> float:
    """Encode line protocol with influxdb-client's `Point`."""
    said = [(topic.split("/")[1], json.loads(payload)) for topic, payload in messages]

    def encode() -> None:
        for device, each in said:
            point = Point("env").tag("edge", "sim").tag("device", device)
            point.field("temperature", each["temperature"]).field("humidity", each["humidity"])
            point.field("battery", each["battery"]).field("seq", each["seq"])
            point.time(int(each["ts"] * 1e9), WritePrecision.NS).to_line_protocol()

    return best(encode)


def subscriber(messages: Spoken) -> tuple[float, float]:
    """Take QoS 1 from mosquitto with paho-mqtt; return its CPU and the broker's."""
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        try:
            broker = city.broker()
            broker.start()
            assert broker.process is not None
            theirs = psutil.Process(broker.process.pid)
            return _subscribed(city, theirs, encoded(messages))
        finally:
            city.close()


def _subscribed(city: City, broker: psutil.Process, packets: list[bytes]) -> tuple[float, float]:
    client = paho.Client(CallbackAPIVersion.VERSION2, "neighbour", manual_ack=True)
    ready, done, count = threading.Event(), threading.Event(), 0

    def heard(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        nonlocal count
        client.ack(message.mid, message.qos)
        count += 1
        if count == len(packets):
            done.set()

    client.on_message = heard
    client.on_subscribe = lambda *_: ready.set()
    client.connect(city.host, city.mqtt_port)
    client.subscribe("tg/+/up", qos=1)
    thread = threading.Thread(target=client.loop_forever, daemon=True)
    thread.start()
    assert ready.wait(10)
    with Blaster(city.host, city.mqtt_port) as blaster:
        before, ours = cpu_s(broker), time.process_time()
        publisher = time.thread_time()
        blaster.send(packets)
        publisher = time.thread_time() - publisher
        assert done.wait(120)
        paho_s = time.process_time() - ours - publisher
        broker_s = cpu_s(broker) - before
    client.disconnect()
    thread.join(10)
    return paho_s / len(packets) * 1e6, broker_s / len(packets) * 1e6
