"""Two profiles in which lint finds nothing, JSON and bytes, to be spoilt one thing at a time."""

from __future__ import annotations

JSON = """\
format: 1
id: acme/hall
version: 1.0.0
title: {en: Hall sensor, zh: 大厅传感器}
vendor: Acme
model: Hall
docs: [Acme Hall manual]
match:
  - {via: mqtt, topic: "acme/{site}/{node}/up", payload: json}
device: {id: "{node}"}
decode: [{json: {}}]
measurements:
  temperature: {type: float, unit: Cel, range: [-40, 85]}
  energy: {from: meter.total, type: float, unit: kW.h, kind: counter}
  people: {type: int, unit: "{count}"}
  mode: {type: enum, values: [off, auto], map: {"0": off, "1": auto}, kind: state}
store: {measurement: env, tags: [edge, device, profile, site]}
egress:
  class: operational
  default: none
  allow:
    temperature: {every: 5m, fns: [mean]}
    energy: {every: 1h, fns: [last, delta]}
  alarms: full
alarms:
  hot: {severity: major, raise: temperature > 60.0, clear: temperature < 55.0}
commands:
  beep: {role: operator, send: {topic: "acme/down/{device}", text: beep}}
tests:
  - name: everything
    source: Acme Hall manual
    recv: {topic: acme/s1/n1/up, payload: {temperature: 61, meter: {total: 5}, people: 3, mode: 0}}
    expect: {points: [{temperature: 61, energy: 5, people: 3, mode: "off"}], alarms: [+hot]}
  - name: it cools down
    steps:
      - {recv: {topic: acme/s1/n1/up, payload: {temperature: 61}}, expect: {alarms: [+hot]}}
      - {recv: {topic: acme/s1/n1/up, payload: {temperature: 20, mode: 1}}, expect: {alarms: [-hot]}}
  - name: beep
    command: {name: beep, device: n1}
    expect: {text: beep}
  - name: not JSON
    recv: {topic: acme/s1/n1/up, payload: "{"}
    expect: {reject: not_json}
"""

BYTES = """\
format: 1
id: acme/probe
version: 1.0.0
title: {en: Probe, zh: 探头}
vendor: Acme
model: Probe
docs: [Acme Probe manual]
match:
  - {via: mqtt, topic: "acme/{node}/raw", payload: bytes}
device: {id: "{node}"}
decode:
  - tlv:
      when: byte0 == 1
      len: u8
      cases:
        "01": [temperature: i16]
        "02": {list: history, fields: [at: u32, temperature: i16]}
  - struct:
      fields:
        - kind: u8
        - temperature: i16
        - probe: {type: u8, when: kind == 9}
each: {from: history, time: at}
measurements:
  temperature: {scale: 0.1, type: float, unit: Cel, range: [-40, 85]}
  probe: {type: int, unit: "1"}
store: {measurement: env}
egress: {class: operational, default: none}
tests:
  - name: a keyed message with a stored record
    source: Acme Probe manual
    recv: {topic: acme/n1/raw, hex: "01 02 00 d7 02 06 65 53 f1 00 00 c8"}
    expect: {points: [{temperature: 21.5}, {temperature: 20.0}]}
  - name: a fixed message
    recv: {topic: acme/n1/raw, hex: "09 00 d7 05"}
    expect: {points: [{temperature: 21.5, probe: 5}]}
  - name: cut short
    recv: {topic: acme/n1/raw, hex: "09 00"}
    expect: {reject: truncated}
"""
