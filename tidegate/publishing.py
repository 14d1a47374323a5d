"""``tidegate profiles publish`` and ``key``: how a vendor brings a version to the centre."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from device_profiles.bundle import CONTENT_TYPE, Bundle, pack
from device_profiles.examination import Examined, Mistake, examine, shipped_fields
from device_profiles.signing import Signer, load_signer, make_key
from gateway_core.errors import ConfigError, Fault, GatewayError
from tidegate.output import print_json, print_pairs
from tidegate.query import HERE, Url
from tidegate.remote import exchange

key = App(name="key", help="A vendor's own key.")


@key.command(name="new")
def new_key(file: Path, /, *, json: bool = False) -> None:
    """Make an Ed25519 key that only you can read, and FILE.pub beside it. Overwrites nothing.

        tidegate profiles key new vendor.key

    Args:
        file: The file to write.
        json: Print JSON.
    """
    signer = make_key(file)
    found = {"key": signer.public.id, "private": str(file), "public": f"{file}.pub"}
    if json:
        print_json(found | {"pem": signer.public.pem})
        return
    print_pairs(found)
    print(f"{signer.public.pem}next: give {file}.pub to the operator of the centre, who runs")
    print(f"      tidegate collector profiles trust VENDOR {file.name}.pub")


def publish(
    file: Path,
    /,
    *,
    url: Url = HERE,
    key: Path | None = None,
    token_file: Path | None = None,
    by: str = "",
    json: bool = False,
) -> int:
    """Examine a version as the centre will, sign it and send it there.

        tidegate profiles publish acme/thermo-1.yaml --url http://centre:8080 --key vendor.key

    Args:
        file: The profile; the codecs that it names go along.
        key: Your private key; left out: it is sent unsigned and waits for a person.
        token_file: Bearer token, where something in front of the centre asks for one.
        by: Who sends it, for the centre's record.
        json: Print JSON.
    """
    signer = load_signer(key) if key is not None else None
    bundle = pack(file)
    examined = examine(file, shipped_fields())
    if not examined.passed:
        raise ConfigError(*(_fault(file, each) for each in _mistakes(examined)))
    headers = _headers(bundle, signer, token_file, by)
    where = f"{url.rstrip('/')}/api/v1/profiles/{examined.id}"
    status, answer = asyncio.run(exchange("PUT", where, data=bundle.encode(), headers=headers))
    found = _read(answer)
    if status >= 400:
        faults = found.get("faults")
        if faults:
            mistakes = (Mistake(f["line"], f["col"], f["path"], f["message"]) for f in faults)
            raise ConfigError(*(_fault(file, each) for each in mistakes))
        raise GatewayError(str(found.get("detail", answer[:500].decode(errors="replace"))))
    if json:
        print_json(found)
        return 0
    told = {200: "was here before", 201: "published", 202: "waits for a person"}
    print(f"{found['id']} {found['version']} {told[status]}; sha256 {found['sha256']}")
    for each in found["results"]:
        print(f"    {each['gate']}: {each['detail']}")
    for each in found["questions"] if found["state"] == "pending" else ():
        print(f"    to judge: {each['question']}: {each['about']}")
    return 0


def _headers(
    bundle: Bundle, signer: Signer | None, token_file: Path | None, by: str
) -> dict[str, str]:
    headers = {"Content-Type": CONTENT_TYPE, "Accept": "application/json"}
    if signer is not None:
        signature = signer.sign("bundle", bundle.digest.encode())
        headers["Tidegate-Key"] = signer.public.id
        headers["Tidegate-Signature"] = base64.b64encode(signature).decode()
    if by:
        headers["Tidegate-Actor"] = by
    if token_file is not None:
        try:
            token = token_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(Fault(token_file, 0, 0, "", f"cannot be read: {exc}")) from exc
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _mistakes(examined: Examined) -> list[Mistake]:
    return [mistake for result in examined.results for mistake in result.mistakes]


def _fault(file: Path, mistake: Mistake) -> Fault:
    return Fault(file, mistake.line, mistake.col, mistake.path, mistake.message)


def _read(answer: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
