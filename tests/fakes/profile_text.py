"""A small profile as text, and ways to change one thing in it."""

from __future__ import annotations

from device_profiles.catalogue import Catalogue
from device_profiles.profile import Profile, load_profile
from device_profiles.route import Route

PROFILE = """\
format: 1
id: acme/room
version: 1.0.0
vendor: Acme
model: Room
match:
  - {via: mqtt, topic: "acme/{site}/{node}/up", payload: json}
  - {via: mqtt, topic: "acme/{site}/{node}/alive", payload: text, role: availability}
device: {id: "{site}-{node}", pattern: "[a-z0-9-]+"}
time: {from: ts, format: unix, max_age: 1d, max_ahead: 5m}
decode: [{json: {}}]
measurements:
  temperature: {type: float, unit: Cel, range: [-40, 85]}
  humidity: {from: 'env."rel.hum"', type: float, unit: "%", range: [0, 100]}
  energy: {from: meter.total, type: float, unit: kW.h, wire_unit: W.h, kind: counter}
  count: {type: int, unit: "{count}"}
  open: {type: bool}
  label: {type: string}
  mode: {type: enum, values: [off, auto, eco], map: {0: off, 1: auto, "e": eco}}
  tamper: {from: status, bit: 2, type: bool}
store: {measurement: env, tags: [edge, device, profile, site]}
egress:
  class: operational
  default: none
  allow:
    temperature: {every: 5m, fns: [mean, min, max]}
    open: raw
alarms:
  hot: {severity: major, raise: temperature > 60.0, clear: temperature < 55.0}
commands:
  set:
    role: operator
    args: {level: {type: int, unit: "%", range: [0, 100]}, mode: {type: enum, values: [slow, fast]}}
    send: {topic: "acme/{site}/down/{device}", json: {id: "{device}", level: "${level}", note: "go ${mode}"}}
tests:
  - name: good
    recv: {topic: acme/s1/n1/up, at: 1700000000, payload: {temperature: 21.5}}
    expect: {device: s1-n1, points: [{time: 1700000000, temperature: 21.5}]}
  - name: out of range
    recv: {topic: acme/s1/n1/up, at: 1700000000, payload: {temperature: 100}}
    expect: {points: [], quality: [temperature:range]}
  - name: not JSON
    recv: {topic: acme/s1/n1/up, payload: "{"}
    expect: {reject: not_json}
"""


PLAIN = """\
format: 1
id: acme/plain
version: 1.0.0
vendor: Acme
model: Plain
match: [{via: mqtt, topic: "acme/{site}/{node}/up", payload: json}]
device: {id: "{site}-{node}"}
time: {from: ts}
decode: [{json: {}}]
measurements:
  temperature: {type: float, unit: Cel, range: [-40, 85]}
  humidity: {type: float, unit: "%"}
  count: {type: int, unit: "1", range: [-5.5, 9]}
  open: {type: bool}
store: {measurement: env}
egress: {class: operational, default: raw}
tests:
  - {name: one, recv: {topic: acme/a/b/up, payload: {temperature: 1}}, expect: {points: [{temperature: 1}]}}
  - {name: two, recv: {topic: acme/a/b/up, payload: {open: 1}}, expect: {points: [], quality: ["open:not_bool"]}}
  - {name: three, recv: {topic: acme/a/b/up, payload: "["}, expect: {reject: not_json}}
"""
"""A profile whose messages are read without nesting and without conversion."""


def changed(old: str, new: str, text: str = PROFILE) -> str:
    """Return the profile with one piece of text replaced; the piece must be there."""
    assert old in text
    return text.replace(old, new, 1)


def room(old: str = "", new: str = "") -> Profile:
    """Load the profile, perhaps with one piece replaced."""
    return load_profile(changed(old, new) if old else PROFILE, "room.yaml")


def route_of(profile: Profile, topic: str = "acme/s1/n1/up") -> Route:
    """Return the only route of a topic."""
    routes = Catalogue([profile]).mqtt(topic)
    assert len(routes) == 1
    return routes[0]
