"""The forms in which a SenML pack comes: JSON (RFC 8428 section 5) and CBOR (section 6)."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from device_profiles.codecs.cbor import decode_cbor
from device_profiles.codecs.contract import Context
from device_profiles.codecs.jsontext import parse_json
from gateway_core.errors import PayloadError

_SENML_CBOR = 112
_OTHER_FORMS = (111, 113, 310, 311)  # SensML JSON and CBOR, SenML XML and SensML XML
_LABELS = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}


def read_pack(payload: object, context: Context) -> object:
    """Return a pack with JSON labels.

    Args:
        payload: JSON or CBOR bytes, told apart by Content-Format, or without one by the first
            byte; or JSON already parsed.
        context: Of the message.

    Raises:
        PayloadError: ``not_json``, ``not_cbor`` or ``not_senml``.
    """
    if context.content_format in _OTHER_FORMS:
        raise PayloadError("not_senml", f"content format {context.content_format} is not read here")
    if not isinstance(payload, bytes):
        return payload
    is_cbor = context.content_format == _SENML_CBOR or (
        context.content_format is None and payload[:1] >= b"\x80"
    )
    if not is_cbor:
        return parse_json(payload)
    pack = decode_cbor(payload)
    if not isinstance(pack, list):
        return pack
    return [_relabelled(record) for record in pack]


def _relabelled(record: object) -> object:
    """Return a CBOR record with JSON labels; data as base64url text, as JSON has it."""
    if not isinstance(record, dict):
        return record
    found = {_LABELS.get(k, k) if type(k) is int else k: v for k, v in record.items()}
    if len(found) != len(record):
        raise PayloadError("not_senml", "a record has the same label twice")
    if isinstance(found.get("vd"), str):
        raise PayloadError("not_senml", "vd is text where CBOR has bytes")
    if isinstance(found.get("vd"), bytes):
        found["vd"] = _base64url(found["vd"])
    return found


def _base64url(raw: bytes) -> str:
    """Return `raw` as SenML's data text: URL-safe alphabet, no padding."""
    return urlsafe_b64encode(raw).decode("ascii").rstrip("=")
