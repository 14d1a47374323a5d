"""A sealed file: encrypted and authenticated in pieces, so that it can be written as a stream.

AES-256-GCM over pieces of 1 MiB; a piece's nonce is its number and whether it is the last, so that
pieces cannot be swapped, repeated or left out (the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár). The key is made for this one file from a passphrase (scrypt) or a key file.
The layout is in docs/reference/formats/backup.md.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import os
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway_core.errors import ConfigError, Fault, PayloadError

MAGIC = b"TGBK"
FORMAT = 1
_PIECE = 1 << 20
_TAG = 16
_MOST_HEADER = 4096
_SHORTEST_PASSPHRASE = 12
_SHORTEST_KEY = 32
_COST = {"log_n": 15, "r": 8, "p": 1}  # 32 MiB and about a tenth of a second
_MOST_LOG_N = 20


class Secret(msgspec.Struct, frozen=True):
    """What opens a sealed file.

    Attributes:
        kind: How the key is made of it.
        value: The bytes; never logged.
    """

    kind: Literal["passphrase", "key"]
    value: bytes

    def __repr__(self) -> str:
        """Return what may be seen of it."""
        return f"Secret({self.kind})"


class _Header(msgspec.Struct, frozen=True):
    format: int
    kind: Literal["passphrase", "key"]
    salt: bytes
    check: bytes
    log_n: int = 0
    r: int = 0
    p: int = 0


def read_passphrase(path: Path) -> Secret:
    """Read a passphrase: the file's text without the white space around it.

    Raises:
        ConfigError: It cannot be read, or it is too short.
    """
    text = _read(path).strip()
    if len(text) < _SHORTEST_PASSPHRASE:
        message = f"a passphrase has at least {_SHORTEST_PASSPHRASE} characters; take six words"
        raise ConfigError(Fault(path, 0, 0, "", message))
    return Secret("passphrase", text)


def read_key(path: Path) -> Secret:
    """Read a key file: 32 random bytes or more, as they are or in base64.

    Raises:
        ConfigError: It cannot be read, or it is too short.
    """
    raw = _read(path)
    with contextlib.suppress(binascii.Error):  # otherwise as they are
        decoded = base64.b64decode(raw.strip(), validate=True)
        raw = decoded if len(decoded) >= _SHORTEST_KEY else raw
    if len(raw) < _SHORTEST_KEY:
        message = f"a key has at least {_SHORTEST_KEY} bytes: openssl rand -base64 32 > {path.name}"
        raise ConfigError(Fault(path, 0, 0, "", message))
    return Secret("key", raw)


class SealedWriter(io.RawIOBase):
    """A stream that seals what is written to it; `close` writes the end, not the file's own.

    Args:
        out: Where the sealed bytes go.
        secret: What will open them.
    """

    def __init__(self, out: BinaryIO, secret: Secret) -> None:
        self._out = out
        cost = _COST if secret.kind == "passphrase" else {}
        blank = _Header(FORMAT, secret.kind, os.urandom(16), b"", **cost)
        key, check = _derive(secret, blank)
        self._head = msgspec.msgpack.encode(msgspec.structs.replace(blank, check=check))
        self._cipher = AESGCM(key)
        self._held = bytearray()
        self._number = 0
        out.write(MAGIC + len(self._head).to_bytes(2, "big") + self._head)

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are all it is given
        """Take bytes; whole pieces go out at once."""
        self._held += data
        while len(self._held) > _PIECE:  # the last one is known by being followed by none
            self._seal(bytes(self._held[:_PIECE]), last=False)
            del self._held[:_PIECE]
        return len(data)

    def finish(self) -> None:
        """Write the last piece; without it the file does not open."""
        self._seal(bytes(self._held), last=True)
        self._held.clear()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, last=last), piece, self._head))
        self._number += 1


class SealedReader(io.RawIOBase):
    """A stream of what was sealed; no byte comes out of it that was not authenticated.

    Args:
        source: Positioned at the beginning.
        secret: What opens it.

    Raises:
        PayloadError: ``bad_backup`` or ``wrong_key``.
    """

    def __init__(self, source: BinaryIO, secret: Secret) -> None:
        self._source = source
        self._head, header = _read_header(source)
        if header.kind != secret.kind:
            raise PayloadError("wrong_key", f"it was sealed with a {header.kind} file")
        key, check = _derive(secret, header)
        if check != header.check:
            raise PayloadError("wrong_key", f"this {secret.kind} does not open it")
        self._cipher = AESGCM(key)
        self._next = source.read(_PIECE + _TAG)
        self._held, self._at = b"", 0
        self._number = 0
        self._ended = False

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, all of them unless the end comes first."""
        out: list[bytes] = []
        wanted = size if size >= 0 else 1 << 62
        while wanted:
            if self._at == len(self._held):
                if self._ended:
                    break
                self._held, self._at = self._open(), 0
                continue
            part = self._held[self._at : self._at + wanted]
            self._at += len(part)
            wanted -= len(part)
            out.append(part)
        return b"".join(out)

    def _open(self) -> bytes:
        piece, self._next = self._next, self._source.read(_PIECE + _TAG)
        self._ended = not self._next
        try:
            opened = self._cipher.decrypt(_nonce(self._number, last=self._ended), piece, self._head)
        except InvalidTag as exc:
            where = f"in its {self._number + 1}. MiB"
            raise PayloadError("bad_backup", f"damaged or cut short {where}") from exc
        self._number += 1
        return opened


def is_sealed(source: BinaryIO) -> bool:
    """Return whether a file begins as a sealed one; its position is at the beginning again."""
    found = source.read(len(MAGIC))
    source.seek(0)
    return found == MAGIC


def _read_header(source: BinaryIO) -> tuple[bytes, _Header]:
    start = source.read(len(MAGIC) + 2)
    if start[: len(MAGIC)] != MAGIC or len(start) < len(MAGIC) + 2:
        raise PayloadError("bad_backup", "not a sealed backup of a collector")
    length = int.from_bytes(start[len(MAGIC) :], "big")
    head = source.read(length) if length <= _MOST_HEADER else b""
    try:
        header = msgspec.msgpack.decode(head, type=_Header)
    except msgspec.MsgspecError as exc:
        raise PayloadError("bad_backup", f"its first bytes are damaged: {exc}") from exc
    if header.format != FORMAT:
        detail = f"sealed in format {header.format}, this program reads {FORMAT}: use a newer one"
        raise PayloadError("bad_backup", detail)
    if header.log_n > _MOST_LOG_N or header.r > 16 or header.p > 4:
        raise PayloadError("bad_backup", "its first bytes are damaged: an impossible cost")
    return head, header


def _derive(secret: Secret, header: _Header) -> tuple[bytes, bytes]:
    """Return the key of one file, and what tells a wrong secret from a damaged file."""
    material = secret.value
    if secret.kind == "passphrase":
        try:
            kdf = Scrypt(header.salt, 32, 1 << header.log_n, header.r, header.p)
            material = kdf.derive(secret.value)
        except ValueError as exc:
            raise PayloadError("bad_backup", f"its first bytes are damaged: {exc}") from exc
    made = HKDF(SHA256(), 48, header.salt, b"tidegate backup 1").derive(material)
    return made[:32], made[32:]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        message = f"cannot be read: {exc.strerror}"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc
