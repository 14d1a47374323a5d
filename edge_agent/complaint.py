"""What the collector's answers mean when it takes nothing: for people, and as a reason. Pure."""

from __future__ import annotations

import msgspec

_HINTS = {
    401: "check uplink.token_file or cert_file",
    403: "this edge is not enrolled there, or under another id",
    404: "uplink.url is not a collector's intake",
    409: "another edge sends under this id, or the spool was copied",
}


def hint(status: int) -> str:
    """Return what to do about an answer that is nobody's fault here."""
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
