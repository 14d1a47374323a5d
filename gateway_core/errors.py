"""The error tree: each class says what the caller does next.

* GatewayError
  * ConfigError      a person must edit a file; exit status 2, never retry
  * PayloadError     a device or peer sent something that cannot be read: refuse it, keep it raw
  * Unavailable      the other side does not answer: keep the data, try again
    * SpoolFull      our own disk budget is used up: do not acknowledge, try again
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class GatewayError(Exception):
    """Anything that Tidegate raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a file that a person wrote.

    Args:
        file: The file, as the person named it.
        line: Counted from 1; 0 when the place is not known.
        col: Counted from 1; 0 when the place is not known.
        path: Where in the document, for example ``mqtt.0.url``; may be empty.
        message: What was expected, what was found, what to do next.
    """

    file: str | Path
    line: int
    col: int
    path: str
    message: str

    def __str__(self) -> str:
        """Return ``file:line:col: path: message``."""
        place = f"{self.file}:{self.line}:{self.col}" if self.line else str(self.file)
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(GatewayError):
    """A person must edit a file.

    Attributes:
        faults: Every mistake that was found, in the order of the file.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class PayloadError(GatewayError):
    """A payload that cannot be read.

    Attributes:
        code: A stable rejection code, for example ``bad_crc`` (docs/reference/rejections.md).
        detail: What was expected and what was found; never holds the payload itself.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Unavailable(GatewayError):
    """The other side does not answer; nothing is known to have been delivered."""


class SpoolFull(Unavailable):
    """The spool's byte budget is used up; nothing of this append was stored."""
