"""What a centre gives to a new edge, on one line: where to enrol, whom to trust, and a secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

import msgspec

_MARK = "tge1."
SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation of one edge.

    Attributes:
        edge: Its id.
        url: Where the centre takes enrolments, ``https://host:port``.
        ca_sha256: Of the certificate (DER) of the CA that the centre's own is checked against.
        secret: Good for one enrolment.
    """

    edge: str
    url: str
    ca_sha256: bytes
    secret: bytes = field(repr=False)


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/enrol``.

    Attributes:
        edge: Who wants to enrol.
        secret: Of its invitation.
        csr: PEM; its key is what is certified, its names are not looked at.
    """

    edge: str
    secret: bytes
    csr: str


class Admission(msgspec.Struct, frozen=True):
    """The answer.

    Attributes:
        certificate: PEM.
        ca: PEM.
        uplink: The intake's URL.
        not_after: Nanoseconds since 1970.
    """

    certificate: str
    ca: str
    uplink: str
    not_after: int


def write_invitation(invitation: Invitation) -> str:
    """Return an invitation as one word to copy."""
    fields = (invitation.edge, invitation.url, invitation.ca_sha256, invitation.secret)
    body = msgspec.msgpack.encode(fields)
    return _MARK + base64.urlsafe_b64encode(body + _sum(body)).decode().rstrip("=")


def read_invitation(text: str) -> Invitation:
    """Read what `write_invitation` wrote.

    Raises:
        ValueError: It was not copied whole, or is something else; the message does not repeat it.
    """
    text = "".join(text.split())
    if not text.startswith(_MARK):
        raise ValueError(f"expected an invitation, which begins with {_MARK}")
    body = text.removeprefix(_MARK)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        raw = raw[:-4] if _sum(raw[:-4]) == raw[-4:] else b""
        edge, url, ca, secret = msgspec.msgpack.decode(raw, type=tuple[str, str, bytes, bytes])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise ValueError("the invitation was not copied whole; copy the one line anew") from None
    if not url.startswith("https://") or len(ca) != 32 or len(secret) != SECRET_BYTES:
        raise ValueError("this invitation is of another version of Tidegate")
    return Invitation(edge, url, ca, secret)


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:4]
