"""A YAML 1.2 file with the place of every key, refused where readers would disagree on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml12
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway_core.errors import ConfigError, Fault

MAX_BYTES = 1 << 20
"""Largest file that is read; people do not write larger ones."""

MAX_NODES = 200_000
"""Most values in a file, aliases counted each time that they are used."""

Step = str | int
"""A key of a mapping, or an index of a list from 0."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The values of a file, and where they stand.

    Attributes:
        file: As the person named it.
        text: The file itself.
        data: Plain dicts, lists and scalars; None for an empty file.
    """

    file: str | Path
    text: str = field(repr=False)
    data: Any
    _root: list[Node | None] = field(default_factory=list, repr=False, compare=False)

    def locate(self, path: tuple[Step, ...]) -> tuple[int, int]:
        """Return line and column, from 1, of the deepest step of ``path`` that exists.

        A key's place is where the key itself stands, an item's where the item begins.
        """
        if not self._root:
            self._root.append(_compose(self.text, self.file))
        node = self._root[0]
        place = _place(node) if node is not None else (1, 1)
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            place, node = _place(found[0]), found[1]
        return place

    def fault(self, path: tuple[Step, ...], message: str) -> Fault:
        """Return a `Fault` at ``path``."""
        line, col = self.locate(path)
        return Fault(self.file, line, col, ".".join(map(str, path)), message)


def read_yaml(
    source: Path | str, name: str | Path = "<text>", *, strict: bool = True
) -> YamlDocument:
    """Read a file (a `Path`) or a text (a `str`, called ``name`` in errors).

    Args:
        source: The file or the text.
        name: What errors call a text.
        strict: Look for repeated keys and alias bombs, which costs 0.1 ms a line; turn it off
            only for files that were checked before they were shipped.

    Raises:
        ConfigError: It cannot be read, is larger than 1 MiB, is not YAML 1.2, or readers would
            disagree on it: repeated keys, keys that are no scalars, tags, several documents.
    """
    file: str | Path = source if isinstance(source, Path) else name
    text = _read(source) if isinstance(source, Path) else source
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(Fault(file, 0, 0, "", "larger than 1 MiB; split it"))
    if "\0" in text:
        raise ConfigError(Fault(file, 0, 0, "", "holds a NUL character: not a text file"))
    roots: list[Node | None] = []
    if strict:
        roots.append(_compose(text, file))
        faults = list(_disputed(roots[0], file, ()))
        if faults:
            raise ConfigError(*faults)
    try:
        data = yaml12.parse_yaml(text)
    except ValueError as exc:
        _compose(text, file)  # says where, if it sees the mistake too
        raise ConfigError(Fault(file, 0, 0, "", str(exc))) from exc
    return YamlDocument(file, text, data, roots)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(MAX_BYTES + 1).decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"cannot be read: {exc.strerror}")) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"not UTF-8 at byte {exc.start}")) from exc


def _compose(text: str, file: str | Path) -> Node | None:
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as exc:
        open_end = "<stream end>" in str(exc.problem)  # what was left open helps more than the end
        mark = (open_end and exc.context_mark) or exc.problem_mark
        line, col = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = " ".join(filter(None, (exc.context, exc.problem)))
        raise ConfigError(Fault(file, line, col, "", f"not YAML: {message}")) from exc
    except (YAMLError, RecursionError, ValueError) as exc:
        message = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise ConfigError(Fault(file, 0, 0, "", f"not YAML: {message}")) from exc
    return node if isinstance(node, Node) else None


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _child(node: Node | None, step: Step) -> tuple[Node, Node] | None:
    """Return where the step stands and what stands below it."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == str(step):
                return key, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _disputed(root: Node | None, file: str | Path, path: tuple[str, ...]) -> Iterator[Fault]:
    """Yield what readers would disagree on."""
    left = MAX_NODES
    waiting: list[tuple[Node, tuple[str, ...]]] = [(root, path)] if root is not None else []
    while waiting:
        node, path = waiting.pop()
        left -= 1
        if left < 0:
            yield Fault(file, *_place(node), ".".join(path), f"more than {MAX_NODES} values")
            return
        if node.tag and not str(node.tag).startswith("tag:yaml.org,2002:"):
            yield Fault(file, *_place(node), ".".join(path), f"tag {node.tag}: write plain YAML")
        if isinstance(node, MappingNode):
            yield from _keys(node, file, path)
            below = [(value, (*path, str(key.value))) for key, value in node.value]
        elif isinstance(node, SequenceNode):
            below = [(each, (*path, str(index))) for index, each in enumerate(node.value)]
        else:
            below = []
        waiting.extend(reversed(below))


def _keys(node: MappingNode, file: str | Path, path: tuple[str, ...]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            yield Fault(file, *_place(key), ".".join(path), "a key must be a text or a number")
            continue
        line, col = _place(key)
        where = ".".join((*path, str(key.value)))
        if key.value in seen:
            message = f"this key is given twice; first in line {seen[key.value]}"
            yield Fault(file, line, col, where, message)
        seen.setdefault(key.value, line)
