"""Sparkplug B payloads as protobuf messages. The one file that imports ``protobuf``.

The descriptor is made here from the field numbers of the Sparkplug specification 3.0, section 6.4.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from gateway_core.errors import PayloadError

_NUMBERS = {
    "Payload": "timestamp:1:u64 metrics:2:*Metric seq:3:u64 uuid:4:text body:5:bytes",
    "Metric": (
        "name:1:text alias:2:u64 timestamp:3:u64 datatype:4:u32 is_historical:5:bool "
        "is_transient:6:bool is_null:7:bool properties:9:PropertySet int_value:10:u32 "
        "long_value:11:u64 float_value:12:f32 double_value:13:f64 boolean_value:14:bool "
        "string_value:15:text bytes_value:16:bytes dataset_value:17:DataSet "
        "template_value:18:Template"
    ),
    "DataSet": "num_of_columns:1:u64 columns:2:*text types:3:*u32 rows:4:*Row",
    "Row": "elements:1:*Element",
    "Element": (
        "int_value:1:u32 long_value:2:u64 float_value:3:f32 double_value:4:f64 "
        "boolean_value:5:bool string_value:6:text"
    ),
    "Template": (
        "version:1:text metrics:2:*Metric parameters:3:*Parameter template_ref:4:text "
        "is_definition:5:bool"
    ),
    "Parameter": (
        "name:1:text type:2:u32 int_value:3:u32 long_value:4:u64 float_value:5:f32 "
        "double_value:6:f64 boolean_value:7:bool string_value:8:text"
    ),
    "PropertySet": "keys:1:*text values:2:*PropertyValue",
    "PropertyValue": (
        "type:1:u32 is_null:2:bool int_value:3:u32 long_value:4:u64 float_value:5:f32 "
        "double_value:6:f64 boolean_value:7:bool string_value:8:text"
    ),
}
_TYPES = {"u32": 13, "u64": 4, "f32": 2, "f64": 1, "bool": 8, "text": 9, "bytes": 12}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PACKAGE = "tidegate.sparkplug"


@cache
def payload_class() -> Any:
    """Return the class of a whole payload; made when it is first needed (the library is 3 MB)."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    # as proto2, whose presence of fields it keeps, but text that is not UTF-8 is no payload: as
    # proto2 it would come as bytes where everybody expects text
    file = descriptor_pb2.FileDescriptorProto(
        name="sparkplug.proto",
        package=_PACKAGE,
        syntax="editions",
        edition=descriptor_pb2.EDITION_2023,
    )
    for name, fields in _NUMBERS.items():
        message = file.message_type.add(name=name)
        for each in fields.split():
            label, number, kind = each.split(":")
            plain = kind.removeprefix("*")
            field = message.field.add(
                name=label,
                number=int(number),
                label=_REPEATED if kind != plain else _OPTIONAL,
                type=_TYPES.get(plain, _MESSAGE),
            )
            if plain not in _TYPES:
                field.type_name = f".{_PACKAGE}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


def parse_payload(data: bytes) -> Any:
    """Return the message; raises `PayloadError` ``not_sparkplug``."""
    from google.protobuf.message import DecodeError

    try:
        return payload_class().FromString(data)
    except (DecodeError, UnicodeDecodeError) as exc:
        raise PayloadError("not_sparkplug", f"no Sparkplug B payload: {exc}"[:200]) from exc


def rebirth_request(at_ms: int) -> bytes:
    """Return the payload of an NCMD that asks an edge node for its births (section 6.4.27)."""
    payload = payload_class()(timestamp=at_ms)
    payload.metrics.add(
        name="Node Control/Rebirth", timestamp=at_ms, datatype=11, boolean_value=True
    )
    made: bytes = payload.SerializeToString()
    return made
