"""An edge node of Sparkplug B over a real broker, with payloads from a descriptor of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import mqtt5
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _payload_class() -> Any:
    """Written field by field from the table of the Sparkplug specification, section 6.4."""
    file = descriptor_pb2.FileDescriptorProto(name="oracle.proto", package="oracle")
    metric = file.message_type.add(name="M")
    for name, number, kind in [
        ("name", 1, 9), ("alias", 2, 4), ("timestamp", 3, 4), ("datatype", 4, 13),
        ("is_historical", 5, 8), ("is_null", 7, 8), ("int_value", 10, 13), ("long_value", 11, 4),
        ("float_value", 12, 2), ("double_value", 13, 1), ("boolean_value", 14, 8),
        ("string_value", 15, 9), ("bytes_value", 16, 12),
    ]:  # fmt: skip
        metric.field.add(name=name, number=number, type=kind, label=1)
    payload = file.message_type.add(name="P")
    payload.field.add(name="timestamp", number=1, type=4, label=1)
    payload.field.add(name="metrics", number=2, type=11, type_name=".oracle.M", label=3)
    payload.field.add(name="seq", number=3, type=4, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("oracle.P"))


PAYLOAD = _payload_class()
BD_SEQ = {"name": "bdSeq", "datatype": 4, "long_value": 3}


def made(*metrics: dict[str, Any], seq: int | None = None, at: int = 1_700_000_000_000) -> bytes:
    """Return a payload with these metrics."""
    found = PAYLOAD(timestamp=at)
    if seq is not None:
        found.seq = seq
    for metric in metrics:
        found.metrics.add(**metric)
    return found.SerializeToString()


class DyingNode:
    """The MQTT connection of node ``n`` in group ``g``, whose network breaks off."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    @classmethod
    async def connect(cls, host: str, port: int) -> DyingNode:
        """Connect with the node's will."""
        reader, writer = await asyncio.open_connection(host, port)
        will = mqtt5.Will("spBv1.0/g/NDEATH/n", payload=made(BD_SEQ), qos=mqtt5.QoS.AT_LEAST_ONCE)
        writer.write(mqtt5.ConnectPacket("dying-node", will=will).write())
        await reader.readexactly(2)
        return cls(writer)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message of QoS 0."""
        self._writer.write(mqtt5.PublishPacket(topic, payload=payload).write())

    def break_off(self) -> None:
        """End the connection without a goodbye."""
        self._writer.transport.abort()
