"""SOAP envelopes with a WS-UsernameToken, and faults read back. Sans I/O."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from xml.sax.saxutils import escape

from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.parse import Document
from gateway_core.clock import NS

SoapVersion = Literal["1.1", "1.2"]
FaultClass = Literal["auth", "unclear", "unsupported", "version", "other"]

_ENVELOPES: dict[SoapVersion, str] = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_DIGEST = f"{_WSS}-username-token-profile-1.0#PasswordDigest"
_BASE64 = f"{_WSS}-soap-message-security-1.0#Base64Binary"
_AUTH_CODES = frozenset(
    {
        "notauthorized",
        "failedauthentication",
        "invalidsecurity",
        "invalidsecuritytoken",
        "securitytokenunavailable",
        "failedcheck",
        "unsupportedsecuritytoken",
        "messageexpired",
    }
)
_UNSUPPORTED_CODES = frozenset({"actionnotsupported", "optionalactionnotimplemented"})
_VERSION_CODES = frozenset({"versionmismatch", "mustunderstand"})


@dataclass(frozen=True, slots=True)
class SoapFault:
    """Why a device did not do what it was asked.

    Attributes:
        kind: What the caller does next: ``auth``, log in; ``unclear``, the device does not say why,
            which some do where a login is missing; ``unsupported``, ask for something else;
            ``version``, ask in the other SOAP; ``other``, give up.
        codes: Local names of code and subcodes, outermost first.
        reason: The device's words.
    """

    kind: FaultClass
    codes: tuple[str, ...]
    reason: str


def username_token(credential: Credential, created_ns: int, nonce: bytes) -> str:
    """Return a ``wsse:Security`` header with a password digest (WSS UsernameToken Profile 1.0).

    Args:
        credential: Encoded as UTF-8; the password itself is not sent.
        created_ns: On the device's clock, in nanoseconds since 1970.
        nonce: 16 unpredictable bytes.
    """
    # "Z", never "+00:00": some devices refuse an offset.
    created = datetime.fromtimestamp(created_ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    hashed = hashlib.sha1(
        nonce + created.encode() + credential.password.encode(), usedforsecurity=False
    ).digest()
    return (
        f'<wsse:Security xmlns:wsse="{_WSS}-wssecurity-secext-1.0.xsd"'
        f' xmlns:wsu="{_WSS}-wssecurity-utility-1.0.xsd"><wsse:UsernameToken>'
        f"<wsse:Username>{escape(credential.username)}</wsse:Username>"
        f'<wsse:Password Type="{_DIGEST}">{base64.b64encode(hashed).decode()}</wsse:Password>'
        f'<wsse:Nonce EncodingType="{_BASE64}">{base64.b64encode(nonce).decode()}</wsse:Nonce>'
        f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
    )


def envelope(body: str, header: str = "", version: SoapVersion = "1.2") -> bytes:
    """Return a whole envelope without line ends, which some devices trip over.

    Args:
        body: One element, its namespaces declared in it.
        header: Elements such as that of `username_token`, or empty.
        version: Which SOAP.
    """
    header = f"<s:Header>{header}</s:Header>" if header else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_ENVELOPES[version]}">'
        f"{header}<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def read_fault(document: Document, status: int) -> SoapFault | None:
    """Return the fault in an answer, of either SOAP version, or None.

    It is classed by its codes and the HTTP status, never by the device's words, which differ
    between makers and languages.
    """
    fault = document.root.find("Fault")
    if fault is None:
        return None
    codes = [element.text for element in fault.every("Value")]
    codes += [fault.value("faultcode")] if not codes else []
    # SOAP 1.1 puts what 1.2 calls subcodes behind dots.
    parts = [part for code in codes[:8] for part in code.rpartition(":")[2].split(".")]
    names = tuple(part[:64] for part in parts[:8] if part)
    reason = (fault.value("Text") or fault.value("faultstring"))[:200]
    return SoapFault(_classify(names, status), names, reason)


def _classify(names: Sequence[str], status: int) -> FaultClass:
    known = {name.lower() for name in names}
    if known & _AUTH_CODES or status == 401:
        return "auth"
    if known & _VERSION_CODES:
        return "version"
    if known & _UNSUPPORTED_CODES:
        return "unsupported"
    return "other" if len(names) > 1 else "unclear"
