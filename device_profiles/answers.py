"""How it is known that a command was carried out: the device's answer, and its next reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from device_profiles.cel import Absent, CelType, ExpressionFault, Uncomputable, compile_cel
from device_profiles.cel import identifiers as identifiers_of
from device_profiles.durations import duration_ns
from device_profiles.paths import PathFault, compile_path, parse_path
from device_profiles.payloads import CommandFault, check_names, filled
from device_profiles.topics import Template, TemplateFault, parse_template
from gateway_core.errors import PayloadError
from gateway_core.model import Value

LONGEST_ANSWER = 64 * 1024
"""Bytes of an answer that is looked at."""

DEFAULT_WITHIN = "30s"
_NEAR = 1e-6
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_OURS: dict[str, CelType] = {
    "d": "any", "args": "any", "text": "string", "hex": "string", "device": "string",
    "command": "string",
}  # fmt: skip
_WORDS = frozenset({"true", "false", "null", "in"})

Verdict = Literal["acknowledged", "refused"]


@dataclass(frozen=True, slots=True)
class Question:
    """One command as it was sent, for judging what comes back.

    Attributes:
        command: Its id.
        device: The device's id.
        args: Its arguments, checked.
    """

    command: str
    device: str
    args: Mapping[str, Value]


Match = Callable[[Mapping[str, Any], Question], bool]
"""Whether an answer suits: gets ``d``, ``text``, ``hex`` and what the message has at its root."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer that a device gives to a command.

    Attributes:
        topic: Where it comes, with ``{captures}``.
        template: The same, read.
        within_ns: How long it is waited for.
        match: Which messages there are the answer.
        refuse: Which of them mean "no"; None for none.
        shared: Whether an answer does not say whose it is: then one command at a time waits there.
    """

    topic: str
    template: Template
    within_ns: int
    match: Match
    refuse: Match | None
    shared: bool

    def at(self, names: Mapping[str, str]) -> str:
        """Return the topic for one device; raises `PayloadError` ``missing_capture``."""
        return str(filled(self.topic, {}, names))

    def judge(self, payload: bytes, question: Question) -> Verdict | None:
        """Return what a message on the topic says of a command; None for nothing."""
        if len(payload) > LONGEST_ANSWER:
            return None
        answer = read_answer(payload)
        if self.refuse is not None and self.refuse(answer, question):
            return "refused"
        return "acknowledged" if self.match(answer, question) else None


@dataclass(frozen=True, slots=True)
class Confirm:
    """The reading that shows that a command was carried out.

    Attributes:
        measurement: The field.
        equals: The value, or a text with ``${arg}``.
        tolerance: How far a number may be off.
        within_ns: How long it is waited for.
    """

    measurement: str
    equals: Value
    tolerance: float
    within_ns: int

    def wanted(self, args: Mapping[str, Value]) -> Value:
        """Return the value that confirms a command with these arguments."""
        found: Value = filled(self.equals, args, {})
        return found

    def holds(self, fields: Mapping[str, Value], args: Mapping[str, Value]) -> bool | None:
        """Return whether a reading confirms; None when it does not have the field."""
        value = fields.get(self.measurement)
        return None if value is None else _equal(value, self.wanted(args), self.tolerance)


def compile_ack(spec: Mapping[str, Any], arguments: Mapping[str, object]) -> Ack:
    """Compile ``ack``.

    Raises:
        CommandFault: The specification is wrong.
    """
    try:
        template = parse_template(spec["topic"])
    except TemplateFault as exc:
        raise CommandFault(("ack", "topic"), str(exc)) from exc
    match, names = _match(spec.get("match", {}), arguments, ("ack", "match"))
    refuse = None
    if "refuse" in spec:
        refuse, _ = _match(spec["refuse"], arguments, ("ack", "refuse"))
    shared = not template.names and not names & {"device", "command"}
    within = duration_ns(spec.get("within", DEFAULT_WITHIN))
    return Ack(spec["topic"], template, within, match, refuse, shared)


def compile_confirm(
    spec: Mapping[str, Any], arguments: Mapping[str, object], fields: Mapping[str, Any]
) -> Confirm:
    """Compile ``confirm``.

    Args:
        spec: As written.
        arguments: The command's arguments.
        fields: The profile's ``measurements``.

    Raises:
        CommandFault: The specification is wrong.
    """
    name, equals = spec["measurement"], spec["equals"]
    if name not in fields:
        raise CommandFault(("confirm", "measurement"), f"there is no measurement {name!r}")
    check_names(equals, arguments, ("confirm", "equals"))
    kind = fields[name]["type"]
    if not (isinstance(equals, str) and "${" in equals) and not _fits(equals, kind):
        raise CommandFault(("confirm", "equals"), f"{name} is {kind}, this is not")
    within = duration_ns(spec.get("within", DEFAULT_WITHIN))
    return Confirm(name, equals, spec.get("tolerance", 0.0), within)


def read_answer(payload: bytes) -> dict[str, Any]:
    """Return the names that a match sees; whatever the bytes are, there is no error."""
    text = payload.decode("utf-8", "replace")
    body: Any = None
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = {}
    root = body if isinstance(body, dict) else {"value": body}
    return {**root, "d": body, "text": text, "hex": payload.hex()}


def _match(
    spec: str | Mapping[str, Any], arguments: Mapping[str, object], place: tuple[str | int, ...]
) -> tuple[Match, frozenset[str]]:
    """Return the condition and the names that it reads."""
    if isinstance(spec, str):
        return _expression(spec, place)
    check_names(dict(spec), arguments, place)
    pairs = []
    for path, value in spec.items():
        try:
            pairs.append((compile_path(parse_path(path)), value))
        except PathFault as exc:
            raise CommandFault((*place, path), str(exc)) from exc
    names = frozenset(
        name for name in ("device", "command") if any(f"{{{name}}}" in str(v) for _, v in pairs)
    )

    def suits(answer: Mapping[str, Any], question: Question) -> bool:
        known = {"device": question.device, "command": question.command}
        try:
            return all(_equal(get(answer), filled(v, question.args, known)) for get, v in pairs)
        except PayloadError:
            return False

    return suits, names


def _expression(text: str, place: tuple[str | int, ...]) -> tuple[Match, frozenset[str]]:
    free = identifiers_of(text) - _WORDS - set(_CALL.findall(text)) - _OURS.keys()
    variables: dict[str, CelType] = {**dict.fromkeys(free, "any"), **_OURS}
    try:
        run = compile_cel(text, variables)
    except ExpressionFault as exc:
        raise CommandFault(place, exc.message) from exc
    if run.returns not in ("bool", "any"):
        raise CommandFault(place, f"expected true or false, this is {run.returns}")

    def suits(answer: Mapping[str, Any], question: Question) -> bool:
        names = {
            **answer,
            "args": dict(question.args),
            "device": question.device,
            "command": question.command,
        }
        try:
            return run({name: names[name] for name in run.names if name in names}) is True
        except (Absent, Uncomputable):
            return False

    return suits, run.names


def _fits(value: object, kind: str) -> bool:
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    return isinstance(value, str) == (kind in ("string", "enum"))


def _equal(found: object, wanted: object, tolerance: float = 0.0) -> bool:
    """Return whether two JSON values are the same; true is never 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        if isinstance(found, int) and isinstance(wanted, int) and not tolerance:
            return found == wanted
        return abs(found - wanted) <= max(tolerance, _NEAR * max(abs(found), abs(wanted)))
    return found == wanted
