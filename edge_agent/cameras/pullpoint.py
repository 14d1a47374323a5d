"""Pull points: requests and answers of the ONVIF event service. Sans I/O.

ONVIF Core specification, section 9 (real-time pull-point notification); WS-BaseNotification and
WS-Addressing for what it borrows from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from edge_agent.cameras.onvif import Operation, path_of
from edge_agent.cameras.parse import Document
from gateway_core.clock import NS
from gateway_core.errors import PayloadError

LIFETIME_S = 300
"""How long a subscription shall live without being renewed; few devices have room for many."""
MESSAGES = 64
"""Asked for in one answer."""
MAX_PARAMETERS = 8
MAX_TEXT = 512

TermForm = Literal["relative", "absolute", "none"]
TERM_FORMS: tuple[TermForm, ...] = ("relative", "absolute", "none")
"""How the end of a subscription may be asked for; some devices take only one of them."""

_EVENTS = "http://www.onvif.org/ver10/events/wsdl"
_NOTIFY = "http://docs.oasis-open.org/wsn/b-2"
_MANAGER = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager"
_ADDRESSING = "http://www.w3.org/2005/08/addressing"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One pull point on a device.

    Attributes:
        path: Where it is asked on the registered host; empty for the event service's own path.
        to: Its address as the device writes it, given back to it and never connected to.
        parameters: XML that the device wants to find in the header of every request.
        lives_s: How long it lives from the answer on, by the device's own clock.
        addressed: Whether to send WS-Addressing headers, which some devices choke on.
    """

    path: str
    to: str
    parameters: str
    lives_s: float
    addressed: bool = True

    def plain(self) -> Subscription:
        """Return the same without WS-Addressing headers."""
        return replace(self, addressed=False)


def create(form: TermForm, device_ns: int) -> Operation:
    """Ask for a pull point.

    Args:
        form: How its end is asked for.
        device_ns: The device's clock, in nanoseconds since 1970.
    """
    return Operation(
        "events",
        "CreatePullPointSubscription",
        _term("InitialTerminationTime", form, device_ns, namespace=""),
        named_action=f"{_EVENTS}/EventPortType/CreatePullPointSubscriptionRequest",
    )


def pull(subscription: Subscription, wait_s: float) -> Operation:
    """Ask for messages; the device answers when it has some, or after ``wait_s`` seconds."""
    arguments = f"<Timeout>PT{wait_s:.0f}S</Timeout><MessageLimit>{MESSAGES}</MessageLimit>"
    action = f"{_EVENTS}/PullPointSubscription/PullMessagesRequest"
    return _to(subscription, "PullMessages", arguments, action, waits_s=wait_s)


def synchronise(subscription: Subscription) -> Operation:
    """Ask it to tell all properties anew, for devices that do not do so by themselves."""
    action = f"{_EVENTS}/PullPointSubscription/SetSynchronizationPointRequest"
    return _to(subscription, "SetSynchronizationPoint", "", action)


def renew(subscription: Subscription, form: TermForm, device_ns: int) -> Operation:
    """Ask it to let a subscription live on; arguments as of `create`."""
    arguments = _term("TerminationTime", form, device_ns, namespace=_NOTIFY)
    action = f"{_MANAGER}/RenewRequest"
    return _to(subscription, "Renew", arguments, action, namespace=_NOTIFY)


def unsubscribe(subscription: Subscription) -> Operation:
    """Give a subscription back."""
    action = f"{_MANAGER}/UnsubscribeRequest"
    return _to(subscription, "Unsubscribe", "", action, namespace=_NOTIFY)


def read_subscription(document: Document) -> Subscription:
    """Read the answer to `create`.

    Raises:
        PayloadError: ``missing_element``.
    """
    reference = document.root.find("SubscriptionReference")
    if reference is None:
        raise PayloadError("missing_element", "expected SubscriptionReference in the answer")
    address = reference.value("Address")
    parameters = reference.find("ReferenceParameters")
    kept = [] if parameters is None else list(parameters.children())[:MAX_PARAMETERS]
    return Subscription(
        path=path_of(address),
        to=re.sub(r"[^!-~]", "", address)[:MAX_TEXT],
        parameters="".join(
            f"<p:{each.name} xmlns:p={quoteattr(each.namespace)} xmlns:a={quoteattr(_ADDRESSING)}"
            f' a:IsReferenceParameter="true">{escape(each.text[:MAX_TEXT])}</p:{each.name}>'
            for each in kept
            if each.name.isidentifier() and 0 < len(each.namespace) <= MAX_TEXT
        ),
        lives_s=read_lifetime(document),
    )


def read_lifetime(document: Document) -> float:
    """Return how long a subscription lives; `LIFETIME_S` where the device does not tell it."""
    ends = _instant(document.root.value("TerminationTime"))
    now = _instant(document.root.value("CurrentTime"))
    if ends is None or now is None:
        return LIFETIME_S
    granted = (ends - now).total_seconds()
    # Some count it in other units or from another start; what cannot be is not believed.
    return granted if 1 <= granted <= 24 * 3600 else LIFETIME_S


def _term(name: str, form: TermForm, device_ns: int, *, namespace: str) -> str:
    if form == "none":
        return ""
    at = datetime.fromtimestamp(device_ns // NS + LIFETIME_S, UTC)
    text = f"PT{LIFETIME_S}S" if form == "relative" else at.strftime("%Y-%m-%dT%H:%M:%SZ")
    xmlns = f' xmlns="{namespace}"' if namespace else ""
    return f"<{name}{xmlns}>{text}</{name}>"


def _to(
    subscription: Subscription,
    name: str,
    arguments: str,
    action: str,
    *,
    namespace: str = "",
    waits_s: float = 0.0,
) -> Operation:
    header = subscription.parameters
    if subscription.addressed:
        header += (
            f'<a:Action xmlns:a="{_ADDRESSING}">{action}</a:Action>'
            f'<a:To xmlns:a="{_ADDRESSING}">{escape(subscription.to)}</a:To>'
        )
    return Operation(
        "events",
        name,
        arguments,
        path=subscription.path,
        header=header,
        waits_s=waits_s,
        namespace=namespace,
        named_action=action,
    )


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
