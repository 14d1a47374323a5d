"""Import of LoRaWAN devices: a profile for each, with a copy of its codec, proven by its examples.

Nothing of a codec is trusted: it runs as any codec does (docs/explanation/javascript-codecs.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from device_profiles.codecs import Context
from device_profiles.examples import run_tests
from device_profiles.importers.imported import slug
from device_profiles.importers.lorawan_examples import Example, Tried, Unreadable, try_example
from device_profiles.importers.lorawan_folder import Device, read_folder
from device_profiles.importers.lorawan_measures import infer
from device_profiles.importers.lorawan_profile import GATEWAY_TOPIC, Draft
from device_profiles.js.source import LARGEST, Source, source_of
from device_profiles.js.step import JsCodec
from device_profiles.lint import lint
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, Fault

_PORTS = range(256)


@dataclass(frozen=True, slots=True)
class Difference:
    """An example that its codec does not give.

    Attributes:
        file: Where it stands.
        example: Which one it is.
        description: As published.
        function: What it is an example of.
        where: Path, expected and found of each place, or why the codec refused.
    """

    file: str
    example: str
    description: str
    function: str
    where: tuple[str, ...]


@dataclass(slots=True)
class DeviceReport:
    """What became of one device.

    Attributes:
        device: ``vendor/name`` as in the folder.
        profile: The file that was written, or None.
        examples: How many were tried.
        agreed: How many of those the codec gives.
        vectors: How many the profile has; all pass.
        differences: The examples that do not agree.
        troubles: What could not be read or made.
        remarks: What was left out or decided for want of better.
        undecoded: Nobody published a codec for it: there was nothing to import.
    """

    device: str
    profile: str | None = None
    examples: int = 0
    agreed: int = 0
    vectors: int = 0
    differences: list[Difference] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    undecoded: bool = False

    @property
    def good(self) -> bool:
        """Whether all that was published is a profile, and nothing was wrong."""
        made = self.profile is not None or self.undecoded
        return made and not self.differences and not self.troubles


def import_lorawan(
    folder: Path,
    output: Path,
    device: str | None = None,
    topic: str = GATEWAY_TOPIC,
    progress: Callable[[str], None] = lambda _name: None,
) -> Iterator[DeviceReport]:
    """Make profiles of the devices of a vendor's folder, one after the other.

    Args:
        folder: Of one vendor, or of several.
        output: Gets ``<vendor>/<device>.yaml`` and the codecs; no file there is overwritten.
        device: Only this one, by the name of its file; None for all.
        topic: Where Milesight gateways publish.
        progress: Is told which device is next.

    Raises:
        ConfigError: The folder is none of LoRaWAN devices, or does not have the device.
    """
    seen = False
    try:
        for one in read_folder(folder):
            if device is not None and one.name != device:
                continue
            seen = True
            progress(one.name)
            yield _import(one, output, topic)
    except Unreadable as exc:
        raise ConfigError(Fault(folder, 0, 0, "", str(exc))) from exc
    if not seen:
        what = "no devices" if device is None else f"no device {device!r}"
        raise ConfigError(Fault(folder, 0, 0, "", f"there is {what} in this folder"))


def _import(device: Device, output: Path, topic: str) -> DeviceReport:
    report = DeviceReport(
        f"{device.vendor}/{device.name}", troubles=device.troubles, undecoded=device.undecoded
    )
    if device.undecoded:
        report.remarks.append("nobody published a codec: nothing to import")
    if device.script is None:
        return report
    try:
        raw = _read(device.script)
    except Unreadable as exc:
        report.troubles.append(str(exc))
        return report
    source = source_of(raw)
    codec = JsCodec(source)
    trouble = codec.trouble()
    if trouble is not None:
        report.troubles.append(f"{device.script}: {trouble}")
        return report
    fresh = _keeps_state(codec, device)
    if fresh:
        report.remarks.append("the codec keeps state between messages: fresh: true")
        codec = JsCodec(Source(source.digest, source.text, fresh=True))
    tried = _try(codec, device.examples, report)
    _compare(tried, report)
    for other, examples in device.apart.items():
        _try_apart(other, examples, report)
    inferred = infer([one.values for one in tried if isinstance(one.values, dict)])
    if not inferred.guesses:
        why = "its examples give no values" if device.examples else "it has no examples"
        report.remarks.append(f"{why}: no measurement is inferred")
    good = [one for one in tried if not one.against]
    draft = Draft(device, _copy_name(device.script), source.digest, inferred, good, fresh, topic)
    _write(draft, raw, output, report)
    return report


def _try(codec: JsCodec, examples: list[Example], report: DeviceReport) -> list[Tried]:
    """Run all examples; a codec that wastes time is given up."""
    tried: list[Tried] = []
    for example in examples:
        tried.append(try_example(codec, example))
        if tried[-1].against[:1] and tried[-1].against[0].startswith("codec_quarantined"):
            left = len(examples) - len(tried)
            report.troubles.append(f"{example.file}: wastes time; {left} examples are not tried")
            break
    return tried


def _try_apart(script: Path, examples: list[Example], report: DeviceReport) -> None:
    """Try the examples of a function that stands in a file of its own, and say what is left out."""
    functions = dict.fromkeys(example.function for example in examples)
    what = ", ".join(functions) or "it"
    report.remarks.append(f"{script.name}: a profile has one codec, so {what} of it is left out")
    try:
        source = source_of(_read(script))
    except Unreadable as exc:
        report.troubles.append(str(exc))
        return
    _compare(_try(JsCodec(source), examples, report), report)


def _compare(tried: list[Tried], report: DeviceReport) -> None:
    report.examples += len(tried)
    for one in tried:
        if not one.against:
            report.agreed += 1
            continue
        example = one.example
        report.differences.append(
            Difference(
                str(example.file), example.place, example.description, example.function, one.against
            )
        )


def _write(draft: Draft, raw: bytes, output: Path, report: DeviceReport) -> None:
    """Write codec and profile, and let the profile prove itself; a vector that fails goes."""
    vendor, name = draft.id.split("/")
    path, script = output / vendor / f"{name}.yaml", output / vendor / draft.codec
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if script.exists() and script.read_bytes() != raw:
            draft.codec = f"{draft.digest[:8]}-{draft.codec}"
            script = output / vendor / draft.codec
        script.write_bytes(raw)
        with path.open("x", encoding="utf-8") as out:
            out.write(draft.text())
    except FileExistsError:
        report.troubles.append(f"{path} is there already; choose another folder")
        return
    except OSError as exc:
        report.troubles.append(f"{path} cannot be written: {exc.strerror}")
        return
    report.remarks += [*draft.remarks, *draft.inferred.left_out]
    report.profile = str(path)
    try:
        outcomes = run_tests(load_profile(path))
    except ConfigError as exc:
        report.troubles += [str(fault) for fault in exc.faults]
        return
    report.vectors = sum(outcome.passed for outcome in outcomes)
    report.troubles += [
        f"{path}:{outcome.line}: {outcome.name}: {failure}"
        for outcome in outcomes
        for failure in outcome.failures
    ]
    report.troubles += [str(fault) for fault in lint(path)]


def _keeps_state(codec: JsCodec, device: Device) -> bool:
    messages = [
        (bytes(example.input["bytes"]), Context({}, 0, None, example.input.get("fPort")))
        for example in device.examples
        if example.function == "decodeUplink"
        and all(byte in _PORTS for byte in example.input["bytes"])
        and type(example.input.get("fPort")) is int
    ]
    return len(messages) > 1 and codec.keeps_state(messages)


def _read(script: Path) -> bytes:
    try:
        with script.open("rb") as handle:
            raw = handle.read(LARGEST + 1)
    except OSError as exc:
        raise Unreadable(f"{script} cannot be read: {exc.strerror}") from exc
    if len(raw) > LARGEST:
        raise Unreadable(f"{script} is larger than {LARGEST} bytes")
    return raw


def _copy_name(script: Path) -> str:
    return f"{slug(script.stem) or 'codec'}.js"
