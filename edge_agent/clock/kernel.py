"""What the machine knows about its clock: whether a time service vouches for it, and its boot."""

from __future__ import annotations

import ctypes
import errno
import struct
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd touches it at its first synchronisation since boot."""
_TIME_ERROR = 5
_UNSYNC = 0x40


_TIMEX = struct.Struct("@I4li")
"""How ``struct timex`` begins: modes, offset, freq, maxerror, esterror, status."""
_TIMEX_BYTES = 512  # more than any kernel writes


def vouched() -> bool | None:
    """Return whether a time service keeps the clock right; None where nobody can tell.

    Asks the kernel (adjtimex(2), ``STA_UNSYNC``), as ``timedatectl`` does; where that is forbidden,
    whether systemd-timesyncd has set the clock since the machine was started.
    """
    asked = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(asked)
    except (OSError, AttributeError):
        state = -1
    if state < 0:
        forbidden = ctypes.get_errno() in {errno.EPERM, errno.ENOSYS, 0}
        return True if forbidden and _TIMESYNCD.exists() else None
    return state != _TIME_ERROR and not _TIMEX.unpack_from(asked)[5] & _UNSYNC


def boot_id() -> str:
    """Return what names this run of the machine; empty where that is hidden."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
