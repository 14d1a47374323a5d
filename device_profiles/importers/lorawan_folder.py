"""Folders of LoRaWAN devices as communities lay them out: which device has which codec.

Two layouts: the one of the device repository of The Things Stack (``<device>.yaml`` with
``firmwareVersions[].profiles{}.codec``, ``<codec>.yaml`` with ``uplinkDecoder`` and examples), and
ChirpStack's (``devices/*.toml`` with ``firmware[].codec``, ``codecs/*.js`` with tests as JSON).
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_profiles.importers.lorawan_examples import (
    SECTIONS,
    Example,
    Function,
    Unreadable,
    json_examples,
    read_mapping,
    section_examples,
)

MOST_FILES = 20_000
_DEEPEST = 4
_TESTS: dict[str, Function] = {"test_decode": "decodeUplink", "test_encode": "encodeDownlink"}
_NOT_DEVICES = ("index.yaml", "vendor.yaml")


@dataclass(slots=True)
class Device:
    """A device of a folder.

    Attributes:
        vendor: The vendor's folder name.
        vendor_title: What the vendor is called.
        name: The device's file name without its ending.
        title: What the device is called.
        docs: Addresses of its documentation.
        script: The codec's file; None where there is none.
        examples: Published with it.
        apart: Examples of functions that stand in files of their own, by file.
        troubles: What cannot be read.
        undecoded: Nobody published a codec for it: there is nothing to import.
    """

    vendor: str
    vendor_title: str
    name: str
    title: str = ""
    docs: list[str] = field(default_factory=list)
    script: Path | None = None
    examples: list[Example] = field(default_factory=list)
    apart: dict[Path, list[Example]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    undecoded: bool = False


def read_folder(folder: Path) -> Iterator[Device]:
    """Yield the devices of a vendor's folder, or of all vendors below a folder, in order of name.

    Args:
        folder: Of one vendor or of several.

    Raises:
        Unreadable: Nothing there looks like either layout.
    """
    found = False
    for place in _vendors(folder):
        found = True
        chirpstack = (place / "devices").is_dir() and any((place / "devices").glob("*.toml"))
        yield from _chirpstack(place) if chirpstack else _repository(place)
    if not found:
        raise Unreadable(
            f"{folder}: expected a vendor's folder: <device>.yaml with <codec>.yaml (device "
            "repository), or devices/*.toml with codecs/*.js (ChirpStack)"
        )


def _vendors(folder: Path, depth: int = 0) -> Iterator[Path]:
    devices = folder / "devices"
    if any(folder.glob("*-codec.yaml")) or (devices.is_dir() and any(devices.glob("*.toml"))):
        yield folder
        return
    listed = sorted(folder.iterdir()) if folder.is_dir() else []
    if len(listed) > MOST_FILES:
        raise Unreadable(f"{folder}: more than {MOST_FILES} files")
    if any(_is_codec(path) for path in listed if path.suffix == ".yaml" and path.is_file()):
        yield folder
        return
    for path in listed:
        if depth < _DEEPEST and path.is_dir() and not path.is_symlink():
            yield from _vendors(path, depth + 1)


def _is_codec(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return b"uplinkDecoder:" in handle.read(1 << 16)
    except OSError:
        return False


def _repository(folder: Path) -> Iterator[Device]:
    """Yield a device for each codec of each device file, and for each codec nobody names."""
    files = sorted(path for path in folder.glob("*.yaml") if path.name not in _NOT_DEVICES)
    title = _vendor_title(folder)
    used: set[str] = set()
    for file in files:
        if _is_codec(file):
            continue
        device = Device(folder.name, title, file.stem)
        try:
            data = read_mapping(file)
        except Unreadable as exc:
            device.troubles.append(str(exc))
            yield device
            continue
        if "firmwareVersions" not in data:
            continue  # radio parameters of network profiles
        device.title = _text(data.get("name"))
        device.docs = _texts(data, ("productURL", "dataSheetURL"))
        names = _codec_names(data["firmwareVersions"])
        if not names:
            device.undecoded = True
            yield device
        for number, name in enumerate(names):
            used.add(name)
            one = device if number == 0 else _variant(device, name)
            _read_codec(folder, name, one)
            yield one
    for file in files:
        if _is_codec(file) and file.stem not in used:
            device = Device(folder.name, title, file.stem.removesuffix("-codec"))
            _read_codec(folder, file.stem, device)
            yield device


def _codec_names(versions: Any) -> list[str]:
    """Return the codecs of a device file, those of the newest firmware first."""
    names: dict[str, None] = {}
    for version in reversed(versions if isinstance(versions, list) else []):
        profiles = version.get("profiles") if isinstance(version, dict) else None
        for region in profiles.values() if isinstance(profiles, dict) else ():
            name = region.get("codec") if isinstance(region, dict) else None
            if isinstance(name, str) and name:
                names[name.rpartition("/")[2]] = None
    return list(names)


def _variant(device: Device, codec: str) -> Device:
    """Return the device with another codec, of an older firmware or another region."""
    name = f"{device.name}-{codec.removesuffix('-codec')}"
    return Device(device.vendor, device.vendor_title, name, device.title, device.docs)


def _read_codec(folder: Path, name: str, device: Device) -> None:
    file = folder / f"{name}.yaml"
    try:
        data = read_mapping(file)
        script = _script_name(data, file)
        device.script = _beside(folder, script, file)
    except Unreadable as exc:
        device.troubles.append(str(exc))
        return
    for key in SECTIONS:
        part = data.get(key)
        if not isinstance(part, dict):
            continue
        name = part.get("fileName", script)
        found = list(section_examples(file, key, part, device.troubles))
        if name == script:
            device.examples += found
            continue
        try:
            device.apart.setdefault(_beside(folder, str(name), file), []).extend(found)
        except Unreadable as exc:
            device.troubles.append(str(exc))


def _script_name(data: dict[str, Any], file: Path) -> str:
    section = data.get("uplinkDecoder")
    name = section.get("fileName") if isinstance(section, dict) else None
    if not isinstance(name, str):
        raise Unreadable(f"{file}: has no uplinkDecoder with a fileName")
    return name


def _chirpstack(folder: Path) -> Iterator[Device]:
    title = folder.name
    with contextlib.suppress(Unreadable):
        vendor = _toml(folder / "vendor.toml").get("vendor")
        title = _text(vendor.get("name")) if isinstance(vendor, dict) else title
    for file in sorted((folder / "devices").glob("*.toml")):
        device = Device(folder.name, title or folder.name, file.stem)
        try:
            _read_toml(folder, file, device)
        except Unreadable as exc:
            device.troubles.append(str(exc))
        if device.script is not None:
            codecs, stem = folder / "codecs", device.script.stem
            for test, function in _TESTS.items():
                path = codecs / f"{test}_{stem}.json"
                if path.exists():
                    device.examples += json_examples(path, function, device.troubles)
        yield device


def _read_toml(folder: Path, file: Path, device: Device) -> None:
    data = _toml(file).get("device")
    if not isinstance(data, dict):
        raise Unreadable(f"{file}: has no [device]")
    device.title = _text(data.get("description")) or _text(data.get("name"))
    metadata = data.get("metadata")
    if isinstance(metadata, dict):
        device.docs = _texts(metadata, ("documentation_url", "product_url"))
    firmware = data.get("firmware")
    for one in reversed(firmware if isinstance(firmware, list) else []):
        name = one.get("codec") if isinstance(one, dict) else None
        if isinstance(name, str) and name:
            device.script = _beside(folder / "codecs", name, file)
            return
    device.undecoded = True


def _texts(data: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(text for key in keys if (text := _text(data.get(key)))))


def _beside(folder: Path, name: str, file: Path) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Unreadable(f"{file}: {name!r} leads out of the folder")
    if not path.is_file():
        raise Unreadable(f"{file}: there is no file {name}")
    return path


def _vendor_title(folder: Path) -> str:
    """Return the vendor's name: its own folder says it, or the list of vendors above."""
    for name in ("vendor.yaml", "index.yaml", "../index.yaml"):
        if not (folder / name).is_file():
            continue
        try:
            data = read_mapping(folder / name)
        except Unreadable:
            continue
        listed = data.get("vendors")
        for one in listed if isinstance(listed, list) else [data]:
            if one is data or (isinstance(one, dict) and one.get("id") == folder.name):
                title = _text(one.get("name"))
                if title:
                    return title
    return folder.name


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise Unreadable(f"{file}: {exc}") from exc


def _text(value: object) -> str:
    return " ".join(value.split())[:200] if isinstance(value, str) else ""
