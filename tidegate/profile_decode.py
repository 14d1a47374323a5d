"""``tidegate profiles decode`` and ``explain``: one message through one profile."""

from __future__ import annotations

import base64 as b64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from device_profiles.catalogue import load_catalogue
from device_profiles.explain import explain as explain_message
from device_profiles.library import decode_once
from device_profiles.profile import Profile, load_profile
from gateway_core.clock import wall_ns
from tidegate.explain_view import show_explained
from tidegate.output import print_json
from tidegate.usage import WrongUsage

Folders = Annotated[
    list[Path], Parameter(help="Folders of profiles beside the catalogue that ships.")
]


def decode(
    profile: str,
    *,
    topic: str | None = None,
    path: str | None = None,
    json: str | None = None,
    hex: str | None = None,  # noqa: A002  # the option's name
    base64: str | None = None,
    content_format: int | None = None,
    folder: Folders = [],  # noqa: B006  # never changed
    explained: Annotated[bool, Parameter("--explain")] = False,
) -> int:
    """Decode one message and print readings, quality flags and alarms, or the rejection code.

        tidegate profiles decode tidegate/env-sensor --topic tg/d1/up --json '{"temperature": 21}'

    Args:
        profile: An id of the catalogue, or a file.
        topic: MQTT topic it came to; give this or the path.
        path: CoAP path it came to.
        json: The payload as text.
        hex: The payload in hexadecimal digits.
        base64: The payload in base64.
        content_format: CoAP Content-Format.
        explained: Print which byte or member became which value, as `profiles explain` does.
    """
    if explained:
        return explain(
            profile,
            topic=topic,
            path=path,
            json=json,
            hex=hex,
            base64=base64,
            content_format=content_format,
            folder=folder,
        )
    _check_address(topic, path)
    found = decode_once(
        _find(profile, folder),
        _payload(json, hex, base64),
        topic=topic,
        path=path,
        content_format=content_format,
        received=wall_ns(),
    )
    print_json(found.as_dict())
    return 1 if found.reject else 0


def explain(
    profile: str,
    *,
    topic: str | None = None,
    path: str | None = None,
    json: str | None = None,
    hex: str | None = None,  # noqa: A002  # the option's name
    base64: str | None = None,
    content_format: int | None = None,
    folder: Folders = [],  # noqa: B006  # never changed
    format: Literal["text", "json"] = "text",  # noqa: A002  # the option's name
) -> int:
    """Show which byte or member of one message became which value, and what nobody read.

        tidegate profiles explain tidegate/env-sensor --topic tg/d1/up --json '{"humidity": 40}'

    Args:
        profile: An id of the catalogue, or a file.
        topic: MQTT topic it came to; give this or the path.
        path: CoAP path it came to.
        json: The payload as text.
        hex: The payload in hexadecimal digits.
        base64: The payload in base64.
        content_format: CoAP Content-Format.
        format: text, or json: ranges of bytes (end not included), paths, values, their use.
    """
    _check_address(topic, path)
    found = explain_message(
        _find(profile, folder),
        _payload(json, hex, base64),
        topic=topic,
        path=path,
        content_format=content_format,
        received=wall_ns(),
    )
    if format == "json":
        print_json(found.as_dict())
    else:
        show_explained(found)
    return 1 if found.reject else 0


def _check_address(topic: str | None, path: str | None) -> None:
    if (topic is None) == (path is None):
        raise WrongUsage("give --topic (MQTT) or --path (CoAP)")


def _find(profile: str, folders: Sequence[Path]) -> Profile:
    if profile.endswith((".yaml", ".yml")):
        return load_profile(Path(profile))
    known = load_catalogue(folders, strict=False).profiles
    if profile not in known:
        raise WrongUsage(f"no profile {profile!r}; tidegate profiles list shows what there is")
    return known[profile]


def _payload(text: str | None, digits: str | None, coded: str | None) -> bytes:
    if sum(given is not None for given in (text, digits, coded)) != 1:
        raise WrongUsage("give the payload once: --json, --hex or --base64")
    try:
        if text is not None:
            return text.encode()
        if digits is not None:
            return bytes.fromhex(digits)
        return b64.b64decode(coded or "", validate=True)
    except (ValueError, binascii.Error) as exc:
        raise WrongUsage(f"the payload cannot be read: {exc}") from exc
