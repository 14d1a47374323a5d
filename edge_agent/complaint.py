"""What the collector's answers mean when it takes nothing: for people, and as a reason. Pure."""

from __future__ import annotations

import msgspec

_HINTS = {
    401: "check uplink.token_file or cert_file",
    403: "this edge is not enrolled there, or under another id",
    404: "uplink.url is not a collector's intake",
    409: "another edge sends under this id, or the spool was copied",
}

OF_THE_FORM = frozenset({"wire_magic", "wire_version"})
"""Codes that no record is to blame for: the other side is another program, or an older one."""

_OF_THE_WAY = OF_THE_FORM | {"wire_zstd"}
"""And what was garbled on its way."""

_OF_A_RECORD = {400, 413, 422}


def of_a_record(status: int, body: bytes) -> bool:
    """Return whether an answer may be the fault of a record, which halving finds."""
    return status in _OF_A_RECORD and refusal_code(status, body) not in _OF_THE_WAY


def hint(status: int, code: str = "") -> str:
    """Return what to do about an answer that is nobody's fault here."""
    if code in OF_THE_FORM:
        return "the collector reads another version of uploads: upgrade it; all is kept until then"
    return _HINTS.get(status, "it is retried")


def refusal_code(status: int, body: bytes) -> str:
    """Return a stable reason: the problem's own code where it has one (RFC 9457)."""
    if status == 413:
        return "too_large"
    try:
        problem = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = {}
    code = problem.get("code")
    return code if isinstance(code, str) and code else f"http_{status}"
