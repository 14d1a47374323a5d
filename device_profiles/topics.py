"""Topic and path templates with ``{named}`` captures, and a tree that finds those that match.

A capture is part of one level: ``{name}`` never spans a slash, and ``shelly-{mac}/events`` is fine.
``{name*}`` is one level or more; such templates are only asked where no other matches, and of them
those that say the most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic, TypeVar

LONGEST_TOPIC = 1_024
"""Characters; longer topics match nothing."""

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\*?\}")
_SPANNING = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\*\}")
_LONGEST_CAPTURE = 256
_CAPTURE = f"(.{{1,{_LONGEST_CAPTURE}}}?)"
_MOST_PER_LEVEL = 3

T = TypeVar("T")


class TemplateFault(Exception):
    """The text is not a template of a topic or path."""


def names_in(template: str) -> list[str]:
    """Return the names in braces, in order; a name may be a dotted path."""
    return _NAME.findall(template)


def fill(template: str, values: dict[str, str]) -> str:
    """Return ``template`` with every ``{name}`` replaced; `KeyError` when one has no value."""
    return _NAME.sub(lambda found: values[found[1]], template)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a template: literal text, or a pattern with its captured names.

    Attributes:
        literal: The text, where there are no names.
        pattern: What a level must look like, where there are.
        names: What the pattern captures.
        spans: Whether its capture is of several levels.
        begins: What a level that matches the pattern begins with.
    """

    literal: str
    pattern: re.Pattern[str] | None
    names: tuple[str, ...]
    spans: bool = False
    begins: str = ""

    def take(self, text: str) -> dict[str, str] | None:
        """Return what the names of a pattern stand for in one level of a topic, or None."""
        pattern = self.pattern
        if pattern is None or not text.startswith(self.begins):
            return None
        if pattern.pattern == _CAPTURE:  # as nearly all: not asked character by character
            return {self.names[0]: text} if 0 < len(text) <= _LONGEST_CAPTURE else None
        found = pattern.fullmatch(text)
        return None if found is None else dict(zip(self.names, found.groups(), strict=True))


@dataclass(frozen=True, slots=True)
class Template:
    """A topic or path template.

    Attributes:
        text: As written, without a leading slash for paths.
        levels: What stands between the slashes.
        names: All captured names.
    """

    text: str
    levels: tuple[Level, ...]
    names: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Find the names once: every message that is read the long way asks for them."""
        names = tuple(name for level in self.levels for name in level.names)
        object.__setattr__(self, "names", names)

    @property
    def spans(self) -> bool:
        """Whether one of its captures is of several levels."""
        return any(level.spans for level in self.levels)

    @property
    def filter(self) -> str:
        """The MQTT subscription filter that covers it."""
        if self.spans:
            before = takewhile(lambda level: not level.spans, self.levels)
            return "/".join([*map(_wild, before), "#"])
        return "/".join(map(_wild, self.levels))


def _wild(level: Level) -> str:
    return "+" if level.pattern else level.literal


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        TemplateFault: Wildcards, ``$`` in front, stray braces, a name twice, captures side by side.
    """
    if any(mark in text for mark in "+#\0") or text.startswith("$"):
        raise TemplateFault("no wildcards and no leading $: write {name} for the part that varies")
    template = Template(text, tuple(_level(level) for level in text.split("/")))
    if len(_SPANNING.findall(text)) > 1:
        raise TemplateFault(f"only one {{name*}} in a template: {text!r}")
    names = template.names
    if len(set(names)) != len(names):
        raise TemplateFault(f"a name is captured twice in {text!r}")
    return template


def _level(text: str) -> Level:
    if "*}" in text and not _SPANNING.fullmatch(text):
        raise TemplateFault(f"{{name*}} stands alone between two slashes: {text!r}")
    pieces = _NAME.split(text)
    literals, names = pieces[::2], pieces[1::2]
    if any("{" in piece or "}" in piece for piece in literals) or any("." in n for n in names):
        raise TemplateFault(f"expected {{name}} of letters, digits and _ in {text!r}")
    if not names:
        return Level(text, None, ())
    if len(names) > _MOST_PER_LEVEL:
        raise TemplateFault(f"at most {_MOST_PER_LEVEL} names between two slashes: {text!r}")
    if any(not piece for piece in literals[1:-1]):
        raise TemplateFault(f"{text!r} is ambiguous: put something between the names")
    pattern = _CAPTURE.join(re.escape(piece) for piece in literals)
    return Level("", re.compile(pattern, re.DOTALL), tuple(names), "*}" in text, literals[0])


def _spelled(level: Level) -> str:
    """Return a level as part of a pattern of whole topics."""
    if level.pattern is None:
        return re.escape(level.literal)
    if level.spans:
        return _CAPTURE
    return level.pattern.pattern.replace(_CAPTURE, _CAPTURE.replace(".", "[^/]", 1))


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict)
    patterns: dict[tuple[str, tuple[str, ...]], tuple[Level, _Node[T]]] = field(
        default_factory=dict
    )
    found: list[T] = field(default_factory=list)


def _plainness(entry: tuple[tuple[str, tuple[str, ...]], object]) -> int:
    (pattern, names), _ = entry
    return len(_CAPTURE) * len(names) - len(pattern)


class Tree(Generic[T]):
    """Templates by level, so that a topic is compared with few of them."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._spanning: list[tuple[int, re.Pattern[str], Template, T]] = []

    def add(self, template: Template, item: T) -> None:
        """Enter ``item`` under ``template``."""
        if template.spans:
            whole = re.compile("/".join(map(_spelled, template.levels)), re.DOTALL)
            weight = sum(level.pattern is None for level in template.levels)
            self._spanning.append((weight, whole, template, item))
            return
        node = self._root
        for level in template.levels:
            if level.pattern is None:
                node = node.literals.setdefault(level.literal, _Node())
            else:
                key = (level.pattern.pattern, level.names)
                if key not in node.patterns:
                    node.patterns[key] = (level, _Node())
                    # most literal text first: tele/climate_{room} goes before tele/{topic}
                    ordered = sorted(node.patterns.items(), key=_plainness)
                    node.patterns.clear()
                    node.patterns.update(ordered)
                node = node.patterns[key][1]
        node.found.append(item)

    def find(self, topic: str) -> Iterator[tuple[T, dict[str, str]]]:
        """Yield each item whose template matches, literal levels first, with what was captured."""
        if len(topic) > LONGEST_TOPIC:
            return
        found = list(self._walk(self._root, topic.split("/"), 0, {}))
        yield from found or self._across(topic)

    def _across(self, topic: str) -> list[tuple[T, dict[str, str]]]:
        """Return the matches of templates whose captures span levels: those that say the most."""
        found = [
            (weight, item, dict(zip(template.names, match.groups(), strict=True)))
            for weight, whole, template, item in self._spanning
            if (match := whole.fullmatch(topic)) is not None
        ]
        most = max((weight for weight, _, _ in found), default=0)
        return [(item, captures) for weight, item, captures in found if weight == most]

    def _walk(
        self, node: _Node[T], levels: list[str], at: int, captures: dict[str, str]
    ) -> Iterator[tuple[T, dict[str, str]]]:
        if at == len(levels):
            for item in node.found:
                yield item, captures
            return
        child = node.literals.get(levels[at])
        if child is not None:
            yield from self._walk(child, levels, at + 1, captures)
        for level, child in node.patterns.values():
            taken = level.take(levels[at])
            if taken is not None:
                yield from self._walk(child, levels, at + 1, captures | taken)
