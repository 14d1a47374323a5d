"""Who may connect: a file of names and hashes, and what a client certificate says.

A line is ``name:hash``. A name is the device's id, or ``@group`` for a key that devices share: they
log in with that name, and their client id is their identity. A key that was made here is random,
so one SHA-256 with a salt protects it; a password that a person chose is hashed with scrypt
(RFC 7914), which costs a few milliseconds and is therefore computed in a thread, and once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from pathlib import Path

from gateway_core.errors import ConfigError, Fault

MOST_USERS = 1_000_000
_REMEMBERED = 100_000
_KEY_BYTES = 18
_SALT_BYTES = 12
_N, _R, _P = 4096, 8, 1
_FORBIDDEN = frozenset(":#+/\0\n\r ")


def hash_key(key: str) -> str:
    """Return the line's hash of a random key."""
    salt = secrets.token_hex(_SALT_BYTES)
    return f"sha256${salt}${_sha256(salt, key.encode())}"


def hash_password(password: str) -> str:
    """Return the line's hash of a password that a person chose."""
    salt = secrets.token_hex(_SALT_BYTES)
    return f"scrypt${_N}${_R}${_P}${salt}${_scrypt(_N, _R, _P, salt, password.encode())}"


def new_key() -> str:
    """Return a random key, 144 bits."""
    return secrets.token_urlsafe(_KEY_BYTES)


def check_name(name: str) -> str | None:
    """Return what is wrong with a user's name, or None."""
    plain = name.removeprefix("@")
    if not 0 < len(plain) <= 128 or _FORBIDDEN & set(plain) or not plain.isprintable():
        return "1 to 128 printable characters without blank, : # + and /"
    return None


class Users:
    """The users of one listener.

    Args:
        hashes: Name to hash.
    """

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes
        self._salt = secrets.token_bytes(16)
        self._known: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._hashes)

    def __contains__(self, name: str) -> bool:
        """Whether somebody has that name."""
        return name in self._hashes

    def same(self, name: str, other: Users) -> bool:
        """Return whether a name logs in as it does with other users."""
        return self._hashes.get(name) == other._hashes.get(name)

    def costs(self, name: str, password: bytes) -> bool:
        """Return whether `check` will take milliseconds, and belongs into a thread."""
        stored = self._hashes.get(name, "scrypt")
        return stored.startswith("scrypt") and (name, self._digest(password)) not in self._known

    def check(self, name: str, password: bytes) -> bool:
        """Return whether a login is right; takes as long for a name that nobody has."""
        seen = (name, self._digest(password))
        if seen in self._known:
            self._known.move_to_end(seen)
            return True
        stored = self._hashes.get(name)
        if not _matches(stored or _NOBODY, password) or stored is None:
            return False
        self._known[seen] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _digest(self, password: bytes) -> bytes:
        return hashlib.blake2b(password, key=self._salt, digest_size=16).digest()


def read_users(path: Path) -> Users:
    """Read a users file; empty lines and lines that begin with ``#`` say nothing.

    Raises:
        ConfigError: Every wrong line as ``file:line``.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"cannot be read: {exc}")) from exc
    hashes: dict[str, str] = {}
    faults: list[Fault] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, stored = line.partition(":")
        trouble = check_name(name) or _wrong_hash(stored.strip())
        if name in hashes:
            trouble = f"{name} is there twice"
        if trouble:
            faults.append(Fault(path, number, 1, "", f"{trouble}; see tidegate edge users add"))
        hashes[name] = stored.strip()
    if len(hashes) > MOST_USERS:
        faults.append(Fault(path, 0, 0, "", f"more than {MOST_USERS} users"))
    if faults:
        raise ConfigError(*faults)
    return Users(hashes)


def _wrong_hash(stored: str) -> str | None:
    parts = stored.split("$")
    if parts[0] == "sha256" and len(parts) == 3:
        return None
    if parts[0] == "scrypt" and len(parts) == 6 and all(part.isdigit() for part in parts[1:4]):
        n, r, p = map(int, parts[1:4])
        within = n & (n - 1) == 0 and 2 <= n <= 1 << 16 and 1 <= r <= 16 and 1 <= p <= 4
        return None if within else "scrypt parameters out of range"
    return "expected name:sha256$salt$hash or name:scrypt$N$r$p$salt$hash"


def _matches(stored: str, password: bytes) -> bool:
    kind, *parts = stored.split("$")
    if kind == "sha256":
        salt, wanted = parts
        found = _sha256(salt, password)
    else:
        n, r, p, salt, wanted = parts
        found = _scrypt(int(n), int(r), int(p), salt, password)
    return hmac.compare_digest(found, wanted)


def _sha256(salt: str, key: bytes) -> str:
    return hashlib.sha256(salt.encode() + key).hexdigest()


def _scrypt(n: int, r: int, p: int, salt: str, password: bytes) -> str:
    return hashlib.scrypt(password, salt=salt.encode(), n=n, r=r, p=p, dklen=32).hex()


_NOBODY = f"scrypt${_N}${_R}${_P}$00${'0' * 64}"
