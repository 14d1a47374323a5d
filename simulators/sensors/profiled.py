"""What the devices of a profile are called, what they measure, and how they put it into bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from device_profiles.encode import Encoder
from device_profiles.profile import FieldSpec, Profile
from gateway_core.errors import GatewayError, PayloadError
from simulators.sensors.fleet import MARK, Fleet, Quantity

SEQ = "seq"
"""The field in which a message's number comes back; only profiles that have it can be judged."""

_USUAL = {"Cel": (-10.0, 65.0), "%": (0.0, 100.0), "V": (0.0, 400.0), "hPa": (950.0, 1050.0)}
_RARELY = 0.01
_SHAPES: tuple[Callable[[int], str], ...] = (
    lambda n: f"{n:016x}",
    lambda n: f"{n:016X}",
    lambda n: f"0x{n:016x}",
    lambda n: f"{n:012x}",
    lambda n: f"{n:012X}",
    lambda n: f"{n:015d}",
    lambda n: f"{n:012d}",
    lambda n: f"{n:011d}",
)
"""Ids that devices have by birth: EUI-64, ZigBee, MAC, IMEI, meter and telephone numbers."""


def make_fleet(
    profile: Profile,
    count: int,
    seed: int = 1,
    *,
    first: int = 1,
    said: Mapping[str, int] | None = None,
) -> Fleet:
    """Return devices of one profile.

    Args:
        profile: Says what they measure and what their ids look like.
        count: How many.
        seed: Two fleets of one seed say the same.
        first: Number of the first.
        said: Device to the last ``seq`` of an earlier run.

    Raises:
        GatewayError: The profile's pattern for ids is none that a simulator knows.
    """
    quantities = tuple(_quantity(spec) for name, spec in profile.fields.items() if name != SEQ)
    name = _namer(profile)
    return Fleet(MARK, count, quantities, seed, first=first, name=name, said=said)


def make_encoders(profile: Profile, *, mqtt: bool, coap: bool) -> dict[str, Encoder]:
    """Return what encodes for MQTT and for CoAP, as far as each is wanted.

    Raises:
        GatewayError: The profile's devices do not speak that protocol.
        ConfigError: Its messages can only be read, not made.
    """
    spoken = [entry.via for entry in profile.entries if entry.role == "data"]
    encoders: dict[str, Encoder] = {}
    for protocol, wanted in (("mqtt", mqtt), ("coap", coap)):
        if not wanted:
            continue
        via = next((via for via in spoken if (via == "coap") == (protocol == "coap")), None)
        if via is None:
            raise GatewayError(f"{profile.id}: its devices do not speak {protocol}")
        encoders[protocol] = Encoder(profile, via)
    return encoders


def _namer(profile: Profile) -> Callable[[int], str]:
    prefix = f"{MARK}{profile.measurement}"

    def marked(n: int) -> str:
        return f"{prefix}-{n:05d}"

    for name in (marked, *_SHAPES):
        try:
            profile.identity.check(name(1))
        except PayloadError:
            continue
        return name
    raise GatewayError(f"{profile.id}: no simulated id fits the pattern of its device ids")


def _quantity(spec: FieldSpec) -> Quantity:
    if spec.type == "bool":
        return Quantity(spec.name, "bool")
    if spec.type in {"enum", "string"}:
        return Quantity(spec.name, "choice", choices=spec.values or ("simulated",))
    low, high = _USUAL.get(spec.unit, (0.0, 100.0))
    if spec.low is not None and spec.high is not None:
        within = max(low, spec.low), min(high, spec.high)
        low, high = within if within[0] < within[1] else (spec.low, spec.high)
    outliers = _RARELY if spec.unit == "Cel" else 0.0
    return Quantity(spec.name, spec.type, low, high, outliers=outliers)
