"""Lint of JavaScript codecs: whether they load, and whether they keep state between messages."""

from __future__ import annotations

from typing import Any

from device_profiles.catalogue import Catalogue
from device_profiles.codecs import Context
from device_profiles.examples import payload_of
from device_profiles.faults import Place
from device_profiles.js.step import JsCodec
from device_profiles.profile import Profile
from gateway_core.errors import Fault, PayloadError

_NS_IN_US = 1_000


def lint_js(profile: Profile) -> list[Fault]:
    """Return what is wrong with a profile's JavaScript codec; it is run for that."""
    codec = next((e.decode for e in profile.entries if isinstance(e.decode, JsCodec)), None)
    if codec is None:
        return []
    place = _place(profile)
    trouble = codec.trouble()
    if trouble is not None:
        return [profile.document.fault((*place, "file"), trouble)]
    if not codec.source.fresh and codec.keeps_state(messages_of(profile, codec)):
        message = "keeps state between messages, so that their order matters: add 'fresh: true'"
        return [profile.document.fault(place, message)]
    return []


def _place(profile: Profile) -> Place:
    """Return where the codec is named: in the profile's ``decode``, else in one of ``match``."""
    data = profile.document.data
    lists: list[tuple[Place, list[dict[str, Any]]]] = [(("decode",), data["decode"])]
    lists += [
        (("match", index, "decode"), spec["decode"])
        for index, spec in enumerate(data["match"])
        if "decode" in spec
    ]
    return next((*path, len(steps) - 1, "js") for path, steps in lists if "js" in steps[-1])


def messages_of(profile: Profile, codec: JsCodec) -> list[tuple[bytes, Context]]:
    """Return what the codec is given by the profile's vectors."""
    catalogue = Catalogue([profile])
    found = []
    for test in profile.tests:
        for recv in (part["recv"] for part in (test, *test.get("steps", ())) if "recv" in part):
            is_coap = "path" in recv
            routes = catalogue.coap(recv["path"]) if is_coap else catalogue.mqtt(recv["topic"])
            for route in (part for one in routes for part in one.parts):
                if route.role != "data":
                    continue
                try:
                    opened = route.entry.open(payload_of(recv), route.captures, None)
                    if isinstance(opened.body, bytes):
                        received = round(recv.get("at", 0) * 1_000_000) * _NS_IN_US
                        context = Context(opened.captures, received, None, opened.fport)
                        found.append(codec.carried(opened.body, context)[:2])
                except PayloadError:
                    continue  # a vector that shows what is refused
    return found
