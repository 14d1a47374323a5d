"""From a request to an order: the device, its profile's command, the arguments, the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from device_profiles.catalogue import Catalogue
from device_profiles.commands import CommandSpec
from device_profiles.route import Route
from edge_agent.commands.order import Order, Request
from edge_agent.registry import Device, Registry
from gateway_core.clock import NS
from gateway_core.errors import PayloadError

SHORTEST_TTL_S, LONGEST_TTL_S = 1.0, 7 * 86_400.0
LONGEST_BY = 128
COAP = "coap"


class Addressing:
    """What is known about devices, as far as sending to them goes.

    Args:
        registry: The devices.
        sources: Names of the sources that lead out, for example ``mqtt:site``.
        catalogue: The loaded profiles; `use` puts others in their place.
    """

    def __init__(
        self, registry: Registry, sources: Callable[[], list[str]], catalogue: Catalogue
    ) -> None:
        self._registry = registry
        self._sources = sources
        self._catalogue = catalogue

    def use(self, catalogue: Catalogue) -> None:
        """Take other profiles from now on."""
        self._catalogue = catalogue

    def spec(self, profile: str, name: str) -> CommandSpec | None:
        """Return a command of a loaded profile, or None."""
        found = self._catalogue.profiles.get(profile)
        return found.commands.get(name) if found is not None else None

    def peer(self, device: str) -> str:
        """Return where a CoAP device was last heard; empty when it was not."""
        found = self._registry.devices.get(device)
        return found.peer if found is not None else ""

    def captures(self, device: Device) -> dict[str, str]:
        """Return what stands for the ``{names}`` in the addresses that the device spoke at."""
        found: dict[str, str] = {}
        for address in (device.address, device.heard):
            for route in self._routes(device, address):
                found.update(route.captures)
        return found

    def draft(self, request: Request, command: str, now: int) -> Order:
        """Return the order that a request asks for, checked and ready to send.

        Args:
            request: As it came.
            command: The id that it gets.
            now: Nanoseconds since 1970.

        Raises:
            PayloadError: ``unknown_device unknown_profile unknown_command bad_ttl bad_name
                no_way_out`` or a code of `CommandSpec.encode`: nothing is sent.
        """
        device = self._registry.devices.get(request.device)
        if device is None:
            raise PayloadError("unknown_device", f"this edge knows no device {request.device!r}")
        profile = self._catalogue.profiles.get(device.profile)
        if profile is None:
            raise PayloadError("unknown_profile", f"{device.profile} is not loaded")
        spec = profile.commands.get(request.name)
        if spec is None:
            known = ", ".join(profile.commands) or "none"
            raise PayloadError("unknown_command", f"{profile.id} has {known}")
        if not SHORTEST_TTL_S <= request.ttl_s <= LONGEST_TTL_S:
            raise PayloadError("bad_ttl", f"{SHORTEST_TTL_S:g} to {LONGEST_TTL_S:g} seconds")
        if len(request.by) > LONGEST_BY or not request.by.isprintable():
            raise PayloadError("bad_name", f"by: at most {LONGEST_BY} printable characters")
        args = spec.check({**request.args, **read_words(spec, request.words)})
        names = {**self.captures(device), "command": command}
        made = profile.encode_command(request.name, device.id, args, names)
        return Order(
            id=command,
            device=device.id,
            profile=profile.id,
            name=spec.name,
            args=args,
            role=spec.role,
            by=request.by,
            via=self._door(device) if made.via == "coap" else self._broker(device),
            address=made.topic.removeprefix("/") if made.via == "coap" else made.topic,
            payload=made.payload,
            method=made.method,
            content_format=made.content_format,
            answer=spec.ack.at({**names, "device": device.id}) if spec.ack is not None else "",
            accepted=now,
            expires=now + round(request.ttl_s * NS),
            state="accepted",
            changed=now,
        )

    def _broker(self, device: Device) -> str:
        brokers = [name for name in self._sources() if name != COAP]
        if device.source in brokers:
            return device.source
        if len(brokers) == 1:
            return brokers[0]
        why = "was not heard through a broker yet" if brokers else "needs a broker under mqtt"
        raise PayloadError("no_way_out", f"{device.id} {why}")

    def _door(self, device: Device) -> str:
        if COAP not in self._sources():
            raise PayloadError("no_way_out", f"{device.id} needs a coap section in edge.yaml")
        return COAP

    def _routes(self, device: Device, address: str) -> list[Route]:
        if not address:
            return []
        if device.peer:
            routes = self._catalogue.coap(address) or self._catalogue.mqtt(address)
        else:
            routes = self._catalogue.mqtt(address) or self._catalogue.coap(address)
        return [route for route in routes if route.profile.id == device.profile]


def read_words(spec: CommandSpec, words: Mapping[str, str]) -> dict[str, object]:
    """Return arguments that a person typed, each in the type that the command declares.

    Raises:
        PayloadError: ``arg_type``.
    """
    found: dict[str, object] = {}
    for name, word in words.items():
        argument = spec.arguments.get(name)
        if argument is None or argument.type in ("string", "enum"):
            found[name] = word
            continue
        try:
            found[name] = msgspec.json.decode(word.encode(), type=bool | int | float)
        except msgspec.MsgspecError as exc:
            if argument.type != "any":
                expected = "true or false" if argument.type == "bool" else "a number"
                raise PayloadError(
                    "arg_type", f"{name}: expected {expected}, found {word!r}"
                ) from exc
            found[name] = word
    return found
