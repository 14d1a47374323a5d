"""What the agent sends to a device, and what can become of it."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from gateway_core.errors import GatewayError, Unavailable


class Downlink(msgspec.Struct, frozen=True):
    """One message to a device.

    Attributes:
        address: MQTT topic, without wildcards; or CoAP path without its leading slash.
        payload: The bytes.
        expiry_s: Seconds after which nobody shall deliver it any more; None for no limit. An
            MQTT 5 broker keeps to it (Message Expiry Interval); one of 3.1.1 cannot be told.
        content_format: CoAP Content-Format of the payload, or None.
        peer: Where a CoAP device was last heard; empty for MQTT.
        method: Of the CoAP request.
    """

    address: str
    payload: bytes
    expiry_s: float | None = None
    content_format: int | None = None
    peer: str = ""
    method: Literal["post", "put"] = "post"


class NotSent(Unavailable):
    """Nothing left this machine: it may be sent later."""


class Undeliverable(GatewayError):
    """The other side will not have this message, or has nobody to give it to: do not try again.

    Attributes:
        code: A stable code, for example ``no_subscriber`` (docs/reference/rejections.md).
        detail: What was said.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Publisher(Protocol):
    """A way out to devices: a broker, or the CoAP server's socket."""

    @property
    def open(self) -> bool:
        """Whether messages can leave now."""

    async def publish(self, downlink: Downlink) -> str:
        """Send one message and return once the other side has it.

        Returns:
            What the other side said, for people; empty when that was only "yes".

        Raises:
            NotSent: Nothing left; try again.
            Unavailable: It may have left, and no answer came: whether it arrived is not known.
            Undeliverable: The other side said no.
        """
