"""Simulated devices that do as their profile's commands tell them: they answer, then they show it.

Understood are MQTT commands whose payload is JSON or text. What the vendor's device would answer is
not in a profile; the answer here is the request's own names with the device as ``src``, or what a
``match`` of paths and values names, whichever the profile takes for an acknowledgement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from device_profiles.answers import Question
from device_profiles.commands import CommandSpec
from device_profiles.profile import Profile
from device_profiles.topics import Template, TemplateFault, parse_template
from gateway_core.errors import PayloadError
from gateway_core.model import Value

_ARG = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_NAME = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class _Known:
    spec: CommandSpec
    topic: Template
    send: Mapping[str, Any]
    match: Any


class Obedience:
    """What the devices of a profile understand, and what they were told.

    Args:
        profile: Whose commands.

    Attributes:
        filters: What to subscribe to on their behalf.
        obeyed: How many commands were carried out.
    """

    def __init__(self, profile: Profile) -> None:
        self._known: list[_Known] = []
        self._told: dict[str, dict[str, Value]] = {}
        self.obeyed = 0
        written = profile.document.data.get("commands", {})
        for name, spec in profile.commands.items():
            send, match = written[name]["send"], written[name].get("ack", {}).get("match")
            if spec.via != "mqtt" or not {"json", "text"} & send.keys() or "${" in spec.topic:
                continue
            try:
                topic = parse_template(spec.topic)
            except TemplateFault:
                continue
            if "device" in topic.names:
                self._known.append(_Known(spec, topic, send, match))
        self.filters = sorted({each.topic.filter for each in self._known})

    def values(self, device: str, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """Return what a device says, given what it was told before."""
        told = self._told.get(device)
        return values if told is None else {**values, **told}

    def hear(self, topic: str, payload: bytes) -> tuple[str, bytes] | None:
        """Carry out a command; return topic and payload of the answer, if there is one."""
        for known in self._known:
            names = _captured(known.topic, topic)
            args = _read(known.send, payload, names) if names is not None else None
            if names is None or args is None:
                continue
            try:
                checked = known.spec.check(args)
            except PayloadError:
                continue
            return self._carry_out(known, names, checked, payload)
        return None

    def _carry_out(
        self, known: _Known, names: dict[str, str], args: Mapping[str, Value], payload: bytes
    ) -> tuple[str, bytes] | None:
        device, spec = names["device"], known.spec
        self.obeyed += 1
        if spec.confirm is not None:
            told = self._told.setdefault(device, {})
            told[spec.confirm.measurement] = spec.confirm.wanted(args)
        if spec.ack is None:
            return None
        question = Question(names.get("command", ""), device, args)
        for answer in _answers(known, names, args, payload):
            body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
            if spec.ack.judge(body, question) == "acknowledged":
                return spec.ack.at(names), body
        return None


def _captured(template: Template, topic: str) -> dict[str, str] | None:
    levels = topic.split("/")
    if len(levels) != len(template.levels):
        return None
    names: dict[str, str] = {}
    for level, text in zip(template.levels, levels, strict=True):
        found = level.pattern.fullmatch(text) if level.pattern is not None else None
        if level.pattern is None and level.literal != text:
            return None
        if level.pattern is not None:
            if found is None:
                return None
            names.update(zip(level.names, found.groups(), strict=True))
    return names


def _read(
    send: Mapping[str, Any], payload: bytes, names: dict[str, str]
) -> dict[str, object] | None:
    """Return the arguments of a payload; None when it is not this command's."""
    args: dict[str, object] = {}
    if "text" in send:
        wanted, found = send["text"], payload.decode("utf-8", "replace")
        return args if _suits(wanted, found, args, names) else None
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return args if _suits(send["json"], body, args, names) else None


def _suits(template: Any, found: Any, args: dict[str, object], names: dict[str, str]) -> bool:
    """Compare a payload with its template; what stands for arguments and names is noted."""
    if isinstance(template, dict):
        same = isinstance(found, dict) and template.keys() == found.keys()
        return same and all(_suits(template[key], found[key], args, names) for key in template)
    if isinstance(template, list):
        same = isinstance(found, list) and len(template) == len(found)
        return same and all(
            _suits(one, other, args, names) for one, other in zip(template, found, strict=True)
        )
    whole = _ARG.fullmatch(template) if isinstance(template, str) else None
    if whole is not None:
        args[whole[1]] = found
        return True
    if not isinstance(template, str) or not isinstance(found, str):
        return bool(template == found)
    pattern = _NAME.sub(r"(?P<\1>.+?)", re.escape(template).replace(r"\{", "{").replace(r"\}", "}"))
    match = re.fullmatch(pattern, found)
    if match is None:
        return False
    names.update(match.groupdict())
    return True


def _answers(
    known: _Known, names: Mapping[str, str], args: Mapping[str, Value], payload: bytes
) -> list[Any]:
    """Return what the device may answer, the likeliest first."""
    found: list[Any] = []
    if isinstance(known.match, dict) and not any("." in path for path in known.match):
        found.append({key: _filled(value, names, args) for key, value in known.match.items()})
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        body = {}
    if isinstance(body, dict):
        found.append({**body, "src": names["device"], "result": {"ok": True}})
    return [*found, payload]


def _filled(value: Any, names: Mapping[str, str], args: Mapping[str, Value]) -> Any:
    if not isinstance(value, str):
        return value
    whole = _ARG.fullmatch(value)
    return args[whole[1]] if whole else _NAME.sub(lambda name: names.get(name[1], ""), value)
