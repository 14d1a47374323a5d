"""Passwords of feeds, sealed with the site's key: a feeds file that is copied gives none away.

A seal is AES-256-GCM over the password, bound to the feed's id, so that it opens for no other feed.
It tells its key by four bytes of the key's digest: a wrong key is not mistaken for damage.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge_agent.secret_file import write_secret
from gateway_core.errors import GatewayError

MAX_PASSWORD = 256
LOST = (
    "put back the key that the passwords were sealed with; if it is lost, make a new one (tidegate"
    " edge camera key) and give each password anew (tidegate edge camera password FEED)"
)
_VERSION = "s1"
_CONTROL = re.compile(r"[\x00-\x1f]")
_KEY, _MARK, _NONCE, _TAG = 32, 4, 12, 16
_PAD = 32
"""So that the length of a seal tells little of the length of the password."""


_ANEW = "give the password anew: tidegate edge camera password FEED"


class SealError(GatewayError):
    """A seal cannot be opened, or nothing be sealed; the message says what to do."""


class SiteKey:
    """The key that a site seals its passwords with, read when it is first needed.

    Args:
        file: Holds it; None: there is no key.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file or Path()
        self._key = b""
        self._cipher: AESGCM | None = None
        self._mark = b""
        self._latest: tuple[str, str, str] | None = None
        self._trouble = "" if file is not None else "no key_file is configured"

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self._file.exists()

    def seal(self, feed: str, password: str) -> str:
        """Return a password as it may be kept.

        Raises:
            SealError: There is no key.
        """
        cipher, nonce = self._ready(), secrets.token_bytes(_NONCE)
        data = password.encode()
        padded = data + bytes(-len(data) % _PAD)
        sealed = cipher.encrypt(nonce, padded, _about(feed))
        seal = f"{_VERSION}." + base64.urlsafe_b64encode(self._mark + nonce + sealed).decode()
        self._latest = (feed, seal, password)
        return seal

    def open(self, feed: str, seal: str) -> str:
        """Return the password in a seal.

        Raises:
            SealError: There is no key, it is another one, or the seal is not this feed's as it was.
        """
        if self._latest is not None and self._latest[:2] == (feed, seal):
            return self._latest[2]  # it was just made, or looked at before it is used
        cipher = self._ready()
        version, _, text = seal.partition(".")
        raw = _decoded(text)
        mark, nonce, sealed = raw[:_MARK], raw[_MARK : _MARK + _NONCE], raw[_MARK + _NONCE :]
        if version != _VERSION or len(sealed) < _TAG:
            raise SealError(f"is no whole seal; {_ANEW}")
        if mark != self._mark:
            raise SealError(f"was sealed with another key than {self._file}: {LOST}")
        try:
            password = cipher.decrypt(nonce, sealed, _about(feed)).rstrip(b"\0").decode()
        except (InvalidTag, UnicodeDecodeError):
            raise SealError(f"the seal was damaged, or is another feed's; {_ANEW}") from None
        self._latest = (feed, seal, password)
        return password

    def make(self) -> None:
        """Take a new key, which `keep` writes."""
        self._use(secrets.token_bytes(_KEY))

    def keep(self) -> None:
        """Write the key that was made, as `write_secret` does.

        Raises:
            SealError: There is one already, or the file cannot be written.
        """
        try:
            write_secret(self._file, base64.urlsafe_b64encode(self._key) + b"\n", replace=False)
        except FileExistsError:
            message = "is there already; with another one the sealed passwords could not be opened"
            raise SealError(f"{self._file}: {message}") from None
        except OSError as exc:
            raise SealError(f"{self._file} cannot be written: {exc.strerror}") from exc

    def _ready(self) -> AESGCM:
        if self._cipher is None and not self._trouble:
            try:
                self._use(_read_key(self._file))
            except OSError as exc:
                self._trouble = f"{self._file} cannot be read ({exc.strerror}): {LOST}"
            except ValueError as exc:
                self._trouble = f"{self._file} {exc}: {LOST}"
        if self._cipher is None:
            raise SealError(self._trouble)
        return self._cipher

    def _use(self, key: bytes) -> None:
        self._key, self._cipher, self._trouble = key, AESGCM(key), ""
        self._mark = hashlib.blake2b(key, digest_size=_MARK, person=b"tidegate-seal").digest()


def check_password(text: str) -> str:
    """Return a password.

    Raises:
        ValueError: It is none; the message does not repeat it.
    """
    if not text or len(text) > MAX_PASSWORD or _CONTROL.search(text):
        raise ValueError(f"expected one line of 1 to {MAX_PASSWORD} characters")
    return text


def _read_key(file: Path) -> bytes:
    with file.open("rb") as opened:
        key = _decoded(opened.read(1024).strip())
    if len(key) != _KEY:
        raise ValueError(f"is no key of a site ({_KEY} bytes in base64)")
    return key


def _decoded(text: str | bytes) -> bytes:
    """Return what URL-safe base64 stands for; nothing when it is none."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: it is not ASCII
        return b""
    # the last character has bits that decoding does not look at
    coded = text.encode() if isinstance(text, str) else text
    return raw if base64.urlsafe_b64encode(raw) == coded else b""


def _about(feed: str) -> bytes:
    return b"tidegate feed password\0" + feed.encode()
