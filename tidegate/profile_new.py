"""``tidegate profiles new``: a first profile, from messages of the device where there are any."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from device_profiles.catalogue import load_catalogue
from device_profiles.draft import draft
from device_profiles.draft_layout import draft_bytes
from device_profiles.draft_samples import BadSample, Sample, read_sample, read_samples, template_of
from device_profiles.draft_text import Wish
from gateway_core.errors import GatewayError
from tidegate.usage import WrongUsage

_ID = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")


def new(
    profile: str,
    *,
    folder: Path = Path("profiles"),
    topic: str | None = None,
    from_json: list[str] = [],  # noqa: B006  # never changed
    from_file: Path | None = None,
    hex: list[str] = [],  # noqa: A002, B006  # the option's name; never changed
    layout: str | None = None,
    measurement: str | None = None,
    title: str | None = None,
    title_zh: str | None = None,
    docs: list[str] = [],  # noqa: B006  # never changed
    ask: bool | None = None,
) -> None:
    """Write a first profile. Overwrites nothing.

    Of messages that the device sent it makes a whole one: fields, types, units by well-known
    names, the device's id, its time, and the messages as tests. Without any it asks for one on a
    terminal, and else writes a small working example to start from.

        tidegate profiles new acme/hall --topic acme/+/up --from-json '{"temp": 21.5, "batt": 90}'

    Args:
        profile: Its id, vendor/model.
        folder: Where to.
        topic: MQTT topic, + where the device's name stands.
        from_json: A message of the device, or `topic message`; may be given several times.
        from_file: A file of them: one a line, mosquitto_sub -v, or edge refused --json.
        hex: A message of bytes in hexadecimal digits, with the layout; may be given several times.
        layout: What its bytes are: `battery:u8:%, temperature:i16*0.1:Cel, skip1`.
        measurement: Where its readings go; without it, where most of such fields go.
        title: What the device is, in English.
        title_zh: The same in Chinese.
        docs: Public documentation; may be given several times.
        ask: Ask for what is missing; without it, only on a terminal.
    """
    if not _ID.fullmatch(profile):
        raise WrongUsage(f"{profile!r}: expected vendor/model in small letters: acme/thermo-1")
    vendor, model = profile.split("/")
    path = folder / vendor / f"{model}.yaml"
    if path.exists():
        raise GatewayError(f"{path} is there already; choose another id or folder")
    titles = {key: text for key, text in (("en", title), ("zh", title_zh)) if text}
    wish = Wish(profile, topic, measurement, titles, docs)
    try:
        if hex or layout:
            return _write(path, draft_bytes(wish, _bytes(hex, layout), layout or ""))
        samples = _samples(from_json, from_file)
        if ask if ask is not None else not samples and sys.stdin.isatty():
            wish, samples = _asked(wish, samples)
        if samples:
            text = draft(wish, samples, load_catalogue((), strict=False))
        else:
            text = _STARTER.format(id=profile, vendor=vendor, model=model)
    except BadSample as exc:
        raise WrongUsage(str(exc)) from exc
    return _write(path, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}\nnext: tidegate profiles test {path}")


def _bytes(texts: Sequence[str], layout: str | None) -> list[bytes]:
    if not texts or not layout:
        raise WrongUsage("bytes need both: --hex with a message and --layout with its fields")
    try:
        return [bytes.fromhex(text) for text in texts]
    except ValueError as exc:
        raise WrongUsage(f"--hex cannot be read: {exc}") from exc


def _samples(texts: Sequence[str], file: Path | None) -> list[Sample]:
    samples = [read_sample(text, f"--from-json {n}") for n, text in enumerate(texts, 1)]
    if file is None:
        return samples
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise WrongUsage(f"{file} cannot be read: {exc}") from exc
    return samples + read_samples(text, str(file))


def _asked(wish: Wish, samples: list[Sample]) -> tuple[Wish, list[Sample]]:
    """Ask for what is missing; every question has an answer by default, and is an option."""
    vendor, model = wish.id.split("/")
    while not samples:
        text = _ask("a message of the device, as JSON (--from-json)", "")
        if not text:
            return wish, []
        try:
            samples = [read_sample(text)]
        except BadSample as exc:
            print(exc)
    topic = wish.topic
    while topic is None:
        topic = _ask("topic, + where its name stands (--topic)", f"{vendor}/+/up")
        try:
            template_of(topic, samples)
        except BadSample as exc:
            print(exc)
            topic = None
    english = wish.title.get("en") or _ask("what it is, in English (--title)", f"{vendor} {model}")
    chinese = wish.title.get("zh") or _ask("the same in Chinese (--title-zh)", english)
    kept = wish.measurement or _ask("where its readings go (--measurement)", "by its fields")
    measurement = None if kept == "by its fields" else kept
    return Wish(wish.id, topic, measurement, {"en": english, "zh": chinese}, wish.docs), samples


def _ask(question: str, default: str) -> str:
    try:
        return input(f"{question} [{default or 'none: an example'}]: ").strip() or default
    except EOFError:
        return default


_STARTER = """\
# A device profile; every key: docs/reference/profile-format.md
format: 1
id: {id}
version: 0.1.0
status: draft
title: {{en: What the device is, zh: 设备名称}}
vendor: {vendor}
model: {model}
license: CC0-1.0
docs: []                        # the vendor's public documentation

match:
  - {{via: mqtt, topic: "{model}/{{device}}/up", payload: json}}
device: {{id: "{{device}}", pattern: "[0-9A-Za-z_-]{{1,64}}"}}
time: {{from: ts, format: unix, max_age: 7d, max_ahead: 5m}}
decode: [{{json: {{}}}}]

measurements:
  temperature: {{type: float, unit: Cel, range: [-40, 85]}}
  battery: {{type: int, unit: "%", range: [0, 100], kind: diagnostic}}
store: {{measurement: env, tags: [edge, device, profile]}}

egress:                         # nothing leaves the site unless it is listed here
  class: operational
  default: none
  allow:
    temperature: {{every: 5m, fns: [mean, min, max, count]}}
  alarms: full

alarms:
  hot: {{severity: major, raise: temperature > 60.0, clear: temperature < 55.0}}

tests:
  - name: a plain reading
    recv:
      topic: {model}/d1/up
      at: 1700000000
      payload: {{ts: 1700000000, temperature: 21.5, battery: 90}}
    expect: {{device: d1, points: [{{time: 1700000000, temperature: 21.5, battery: 90}}]}}
  - name: hot, then not
    steps:
      - {{recv: {{topic: {model}/d1/up, payload: {{temperature: 61}}}}, expect: {{alarms: [+hot]}}}}
      - {{recv: {{topic: {model}/d1/up, payload: {{temperature: 50}}}}, expect: {{alarms: [-hot]}}}}
  - name: not JSON
    recv: {{topic: {model}/d1/up, hex: "ff"}}
    expect: {{reject: not_json}}
"""
