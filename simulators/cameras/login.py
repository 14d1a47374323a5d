"""The device's side of a login: challenges out, answers checked (RFC 7616, RFC 2069, RFC 7617)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from simulators.cameras.camera import Auth, Device

REALM = "IP Camera(C2F35)"
_FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_ALGORITHMS = {"md5": "MD5", "rfc2069": "MD5", "sha256": "SHA-256"}


def challenge(device: Device, auth: Auth) -> str:
    """Return a ``WWW-Authenticate`` value."""
    if auth == "basic":
        return f'Basic realm="{REALM}"'
    nonce = _nonce(device)
    if auth == "rfc2069":
        return f'Digest realm="{REALM}", nonce="{nonce}"'
    return (
        f'Digest realm="{REALM}", qop="auth", nonce="{nonce}",'
        f' opaque="{device.serial.lower()}", algorithm={_ALGORITHMS[auth]}'
    )


def accepts(device: Device, auth: Auth, method: str, authorization: str) -> bool:
    """Whether an ``Authorization`` value is right for the device just now."""
    scheme, _, rest = authorization.partition(" ")
    if auth == "basic":
        wanted = f"{device.username}:{device.expected_password()}".encode()
        return scheme.lower() == "basic" and rest.strip() == base64.b64encode(wanted).decode()
    if scheme.lower() != "digest":
        return False
    given = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
    if given.get("username") != device.username or given.get("nonce") != _nonce(device):
        return False
    return hmac.compare_digest(_response(device, auth, method, given), given.get("response", ""))


def _response(device: Device, auth: Auth, method: str, given: dict[str, str]) -> str:
    name = "sha256" if auth == "sha256" else "md5"

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    account = digest(f"{device.username}:{REALM}:{device.expected_password()}")
    request = digest(f"{method}:{given.get('uri', '')}")
    if auth == "rfc2069":
        return digest(f"{account}:{given['nonce']}:{request}")
    middle = f"{given.get('nc', '')}:{given.get('cnonce', '')}:{given.get('qop', '')}"
    return digest(f"{account}:{given['nonce']}:{middle}:{request}")


def _nonce(device: Device) -> str:
    text = f"{device.serial}:{device.expected_password()}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
