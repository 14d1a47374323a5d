"""HTTP authentication for RTSP and SOAP: challenges in, the answer out. Sans I/O.

RFC 7616 (Digest with MD5, SHA-256, SHA-512/256, their ``-sess`` forms, qop ``auth`` and
``auth-int``), RFC 2069 (no qop), RFC 7617 (Basic).
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from edge_agent.cameras.inventory import Credential

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
}
_STRENGTH = ("SHA-512-256", "SHA-256", "MD5")
_MAX_CHALLENGES = 16
_ITEM = re.compile(
    r"""[\s,]*+
    (?: (?P<key>[A-Za-z0-9_-]+) \s*=\s* (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<bare>[^\s,"]*) )
      | (?P<scheme>[A-Za-z][A-Za-z0-9_-]*) (?=\s|,|$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which a device wants to be logged in to.

    Attributes:
        scheme: The rest of the attributes mean something for ``digest`` only.
        realm: As sent, unquoted; latin-1 characters stand for the bytes.
        algorithm: ``MD5``, ``SHA-256`` or ``SHA-512-256``, without ``-sess``.
        session: The ``-sess`` form of the algorithm.
        named: Whether the device named the algorithm; if not, neither does the answer.
        qop: Empty for the form of RFC 2069.
        stale: The login was right, only the nonce is too old.
    """

    scheme: Literal["basic", "digest"]
    realm: str = ""
    nonce: str = ""
    opaque: str | None = None
    algorithm: str = "MD5"
    session: bool = False
    named: bool = False
    qop: Literal["", "auth", "auth-int"] = ""
    stale: bool = False


def read_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges that can be answered, in the order offered.

    Args:
        values: The values of the ``WWW-Authenticate`` headers, decoded as latin-1.
    """
    found: list[Challenge] = []
    for value in values:
        for scheme, params in _split(value):
            challenge = _challenge(scheme, params)
            if challenge is not None and len(found) < _MAX_CHALLENGES:
                found.append(challenge)
    return found


def offers_digest(values: Iterable[str]) -> bool:
    """Whether Digest is offered at all, also in a form that cannot be answered."""
    return any(scheme == "digest" for value in values for scheme, _ in _split(value))


def choose(values: Iterable[str], *, basic: bool = True) -> Challenge | None:
    """Return the strongest challenge that can be answered.

    Basic, which sends the password itself, is never chosen where Digest is offered, even in a
    form that is unknown here: an attacker on the way could otherwise ask for it.

    Args:
        values: The values of the ``WWW-Authenticate`` headers.
        basic: Whether Basic may be answered at all.
    """
    values = list(values)
    challenges = read_challenges(values)
    digests = [each for each in challenges if each.scheme == "digest"]
    if digests:
        return min(digests, key=lambda each: _STRENGTH.index(each.algorithm))
    if basic and challenges and not offers_digest(values):
        return challenges[0]
    return None


def authorize(
    challenge: Challenge,
    credential: Credential,
    method: str,
    uri: str,
    *,
    count: int,
    cnonce: str,
    body: bytes = b"",
) -> str:
    """Return the value of the ``Authorization`` header, to be encoded as latin-1.

    Args:
        challenge: From `choose`.
        credential: Encoded as UTF-8.
        method: For example ``DESCRIBE``.
        uri: Exactly as it stands on the request line.
        count: How often this nonce was used, this use included; from 1.
        cnonce: Unpredictable, hexadecimal.
        body: The request's body; only ``auth-int`` looks at it.
    """
    username = credential.username.encode()
    password = credential.password.encode()
    if challenge.scheme == "basic":
        return "Basic " + base64.b64encode(username + b":" + password).decode()
    digest = _HASHES[challenge.algorithm]
    nonce, nc = challenge.nonce, f"{count:08x}"
    secret = digest(username + b":" + challenge.realm.encode("latin-1") + b":" + password)
    if challenge.session:
        secret = digest(f"{secret}:{nonce}:{cnonce}".encode("latin-1"))
    request = f"{method}:{uri}"
    if challenge.qop == "auth-int":
        request += ":" + digest(body)
    middle = f"{nc}:{cnonce}:{challenge.qop}:" if challenge.qop else ""
    hashed = digest(request.encode("latin-1"))
    response = digest(f"{secret}:{nonce}:{middle}{hashed}".encode("latin-1"))
    fields = [
        f'username="{_escape(username.decode("latin-1"))}"',
        f'realm="{_escape(challenge.realm)}"',
        f'nonce="{_escape(nonce)}"',
        f'uri="{uri}"',
        f'response="{response}"',
    ]
    if challenge.named:
        fields.append(f"algorithm={challenge.algorithm}{'-sess' if challenge.session else ''}")
    if challenge.opaque is not None:
        fields.append(f'opaque="{_escape(challenge.opaque)}"')
    if challenge.qop:
        fields.append(f"qop={challenge.qop}, nc={nc}")
    if challenge.qop or challenge.session:
        fields.append(f'cnonce="{cnonce}"')
    return "Digest " + ", ".join(fields)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _split(value: str) -> list[tuple[str, dict[str, str]]]:
    """Cut one header value into schemes with parameters; one header may hold several schemes."""
    schemes: list[tuple[str, dict[str, str]]] = []
    at = 0
    while match := _ITEM.match(value, at):
        if match.end() == at or len(schemes) > _MAX_CHALLENGES:
            break
        at = match.end()
        if match["scheme"] is not None:
            schemes.append((match["scheme"].lower(), {}))
        elif schemes:
            quoted = match["quoted"]
            text = match["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            schemes[-1][1].setdefault(match["key"].lower(), text)
    return schemes


def _challenge(scheme: str, params: dict[str, str]) -> Challenge | None:
    if any(ord(char) < 32 or ord(char) == 127 for text in params.values() for char in text):
        return None  # would be echoed into our own header
    if scheme == "basic":
        return Challenge("basic", realm=params.get("realm", ""))
    if scheme != "digest" or "nonce" not in params:
        return None
    named = params.get("algorithm", "")
    algorithm = named.upper() or "MD5"
    session = algorithm.endswith("-SESS")
    algorithm = algorithm.removesuffix("-SESS")
    if algorithm not in _HASHES:
        return None
    offered = {part.strip().lower() for part in params.get("qop", "").split(",")} - {""}
    if offered and not offered & {"auth", "auth-int"}:
        return None
    return Challenge(
        "digest",
        realm=sys.intern(params.get("realm", "")),  # of many cameras it is the same
        nonce=params["nonce"],
        opaque=params.get("opaque"),
        algorithm=sys.intern(algorithm),
        session=session,
        named=bool(named),
        qop="" if not offered else "auth" if "auth" in offered else "auth-int",
        stale=params.get("stale", "").lower() == "true",
    )
