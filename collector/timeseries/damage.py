"""What to say of an embedded store that does not open. It is never begun anew by itself.

DuckDB knows altered blocks by their checksums. An empty store in a damaged one's place would answer
every question as if there had never been anything.
"""

from __future__ import annotations

from pathlib import Path

from gateway_core.errors import ConfigError, Fault, GatewayError, Unavailable

_BUSY = ("lock on file", "being used by another process", "No space left", "out of memory")
_DENIED = "Permission denied"
_ADVICE = (
    "move it and its .wal away (keep them), then put back the newest backup (tidegate collector "
    "restore), or start with an empty store and let the edges send again what they keep: tidegate "
    "collector refill EDGE --since 30d --again; edges lose nothing meanwhile"
)


def refused(path: Path, exc: Exception) -> GatewayError:
    """Return what to raise, with what to do."""
    why = str(exc).partition("\n")[0]
    if _DENIED in why:
        message = f"may not be opened for writing: chown -R this program's user {path.parent}"
        return ConfigError(Fault(path, 0, 0, "", message))
    if any(each.casefold() in why.casefold() for each in _BUSY):
        return Unavailable(f"embedded time series {path}: {why}")
    return ConfigError(Fault(path, 0, 0, "", f"is damaged ({why}): {_ADVICE}"))
