"""Mistakes found in a profile, each with its place in the file."""

from __future__ import annotations

from typing import Protocol

from gateway_core.errors import ConfigError, Fault

Place = tuple[str | int, ...]
"""Keys and indices from the top of the document."""


class Document(Protocol):
    """What is needed of a YAML document to report a mistake in it."""

    def fault(self, path: Place, message: str) -> Fault:
        """Return the fault at a place."""


class Faults:
    """Collects the mistakes of one document.

    Attributes:
        found: In the order in which they were found.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.found: list[Fault] = []

    def add(self, path: Place, message: str) -> None:
        """Enter a mistake."""
        self.found.append(self._document.fault(path, message))

    def sorted(self) -> list[Fault]:
        """Return the mistakes in the order of the file."""
        return sorted(self.found, key=lambda fault: (fault.line, fault.col))

    def raise_any(self) -> None:
        """Raise `ConfigError` with every mistake, if there is one."""
        if self.found:
            raise ConfigError(*self.sorted())
