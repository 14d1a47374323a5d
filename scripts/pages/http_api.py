"""docs/reference/http-api.md: the collector's OpenAPI document and the other listeners' routes."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, cast

from collector.api.app import create_app
from collector.api.parts import Parts
from pages.table import table

ROOT = Path(__file__).parents[2]

HEAD = """# HTTP

Three listeners. Errors are `application/problem+json` (RFC 9457): `type` ends in a stable code, `detail` says what to do
next. Times are RFC 3339 with an offset; in the stores they are whole nanoseconds since 1970.

## The collector, for people (`api.listen`)

The same, to try out, at `/docs` of a running collector, which asks nothing of the internet; the console is at `/`.
"""

EDGES = """## The collector, for edges (`intake.listen`)

| route | what |
|---|---|
| `POST /v1/batches` | one [upload](formats/wire.md); the answer is a receipt, sent after the commit |
| `GET /v1/profiles/plan` | the asking edge's [plan](formats/profile-life.md), signed; `Tidegate-Edge` says who asks; `ETag`, 304 |
| `GET /v1/profiles/bundles/{sha256}` | a [bundle](formats/profile-life.md) |
| `POST /v1/profiles/reports` | one [report](formats/profile-life.md); 204 when it is stored, also when it was before |
| `POST /v1/balances` | one signed [balance](formats/balance.md); 204 when it is kept, also when it was before |
| `GET /healthz` | 200 when the listener answers |
"""

_ABOUT = {
    "GET /balances": "the daily balances that are kept, each with key and signature",
    "GET /gaps": "what is missing of a `device` between `since` and `until`, and why ([gaps](gaps.md))",
    "GET /healthz": "200 while the spool takes data, parts that wait for their peer included; else 503",
    "GET /metrics": "[metrics](metrics.md) as Prometheus text",
    "GET /status": "sources, books, lag, what failed and why, devices, feeds, systems, head of the egress ledger",
    "GET /tap": "records as they come, one JSON object a line; `topic`, `device`, `field`, `after`; or with `client` what a client of `mqtt_listen` sends and what becomes of it",
    "POST /balances": "close the books now; returns the balance",
    "POST /query": "on-site history, what is not archived yet included: "
    "the body of `POST /api/v1/query` and `format`: `json`, `jsonl` or `csv`",
    "POST /export": "the same without a limit, as it comes; `format`: `csv`, `jsonl` or `arrow`",
    "POST /reload": "read profiles, devices and egress anew",
    "POST /resend": 'send to the collector again what it was given: `{"since": …, "until": …}` in nanoseconds; the answer names it',
    "GET /resend/{id}": "how far that is: `done`, `whole`, `gone`, `ended`",
    "POST /replay": 'decode refused payloads again: `{"reason": …, "since": …, "limit": …, "profile": …}`',
    "POST /command": 'send a command to a device: `{"device", "name", "args", "ttl_s", "by"}`; 202 once it is stored, 404 or 422 with a `code` and nothing sent',
    "GET /commands": "the newest commands; `device`, `state`, `limit`",
    "GET /profiles": "which version of each profile is used, planned, compared and held, as [profiles.lock](formats/profiles-lock.md)",
    "POST /profiles/pin": 'hold a version: `{"profile", "version"}`; without `version`: follow the plan again; 422 with a `code` and nothing changed',
    "GET /profiles/shadow": "what the shadow of `profile` found, with examples that stay on site",
    "GET /commands/{id}": "one command with its transitions; `wait=30`: once it has ended, after so many seconds at the latest",
    "GET /feeds": 'video feeds with state, faults and times: `{"feeds", "found", "next"}`; `state`, `group`, `q` (part of id or name), `limit` up to 10,000, `after` an id',
    "GET /feeds/{id}/baseline": "What its pictures usually are like, hour by hour (UTC)",
    "POST /feeds/{id}/sample": "Listen to its packets for six seconds; answers as `GET /feeds/{id}`",
    "DELETE /feeds/{id}/baseline": "Forget that, and learn it anew",
    "GET /feeds/{id}": "one feed and why it is as it is: its last five stream checks, ONVIF and picture faults, lost parent, login, seconds to the next check",
    "PATCH /feeds/{id}": '`{"maintenance": true}`: people are at work there; answers once it is stored',
}


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *_operations(), EDGES, ADMIN_HEAD, _admin()])


ADMIN_HEAD = """## The edge agent, for its administrator (`admin.listen`)

Loopback unless configured otherwise; no credentials of its own. 64 connections at a time; one whose first request is not there within 15 seconds is closed.
"""


class _Undelivered:
    """Stands for the parts: the application is built and described, never asked."""

    def __getattr__(self, name: str) -> _Undelivered:
        return self


def _operations() -> list[str]:
    document = create_app(cast("Parts", _Undelivered())).openapi()
    return [
        _operation(method.upper(), path, what, document)
        for path, methods in document["paths"].items()
        for method, what in methods.items()
    ]


def _operation(method: str, path: str, what: dict[str, Any], document: dict[str, Any]) -> str:
    text = [f"### {method} {path}\n", what.get("summary", "") + "\n"]
    if about := what.get("description"):
        text.append(about.replace("``", "`") + "\n")
    rows = [
        (f"`{p['name']}`", p["in"], _kind(p["schema"], document), p.get("description", ""))
        for p in what.get("parameters", ())
    ]
    rows += _body(what, document)
    if rows:
        text.append(table(("name", "where", "type", "meaning"), rows))
    return "\n".join(text)


def _body(what: dict[str, Any], document: dict[str, Any]) -> list[tuple[str, ...]]:
    content = what.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return []
    schema = _resolved(content["schema"], document)
    return [
        (f"`{name}`", "body", _kind(each, document), each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _kind(schema: dict[str, Any], document: dict[str, Any]) -> str:
    schema = _resolved(schema, document)
    if "anyOf" in schema:
        return " or ".join(
            _kind(each, document) for each in schema["anyOf"] if each.get("type") != "null"
        )
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "value"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), document)}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    return ", ".join([kind, *limits]) + (
        f", default `{schema['default']}`" if schema.get("default") not in (None, []) else ""
    )


def _admin() -> str:
    """Return the routes of the admin listener as its source adds them."""
    files = ("admin.py", "commands/desk.py", "cameras/desk.py", "versions/desk.py")
    trees = [ast.parse((ROOT / "edge_agent" / name).read_text("utf-8")) for name in files]
    routes = [
        f"{node.func.attr.removeprefix('add_').upper()} {node.args[0].value.replace(':.+', '')}"
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"add_get", "add_post", "add_patch", "add_delete"}
        and isinstance(node.args[0], ast.Constant)
    ]
    return table(("route", "what"), ((f"`{route}`", _ABOUT[route]) for route in routes))
