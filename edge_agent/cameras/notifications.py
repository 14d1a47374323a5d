"""What a camera tells by itself: ONVIF notifications read, and what they say of its picture. Pure.

ONVIF Core specification, section 9 (events), and the topics that makers use for the same things.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from edge_agent.cameras.parse import Document, Element

Change = Literal["Initialized", "Changed", "Deleted", ""]
EventFault = Literal[
    "event_signal_loss",
    "event_tamper",
    "event_too_dark",
    "event_too_bright",
    "event_blurred",
]
MAX_NOTIFICATIONS = 256
"""In one answer; more than was asked for is left unread."""
MAX_TEXT = 256

_FAULTS: dict[tuple[str, str], EventFault] = {
    # With and without /ImagingService, /AnalyticsService or /RecordingService behind them.
    ("videosource", "signalloss"): "event_signal_loss",
    ("videosource", "videoloss"): "event_signal_loss",
    ("mediacontrol", "videoloss"): "event_signal_loss",
    ("ruleengine", "videoloss"): "event_signal_loss",
    ("videosource", "globalscenechange"): "event_tamper",
    ("videosource", "tampering"): "event_tamper",  # Axis
    ("videosource", "tamper"): "event_tamper",
    ("device", "tampering"): "event_tamper",  # Axis, the housing
    ("ruleengine", "tamperdetector"): "event_tamper",  # Hikvision, Dahua, Tapo
    ("ruleengine", "globalscenechange"): "event_tamper",
    ("ruleengine", "videoblind"): "event_tamper",
    ("videosource", "imagetoodark"): "event_too_dark",
    ("videosource", "imagetoobright"): "event_too_bright",
    ("videosource", "imagetooblurry"): "event_blurred",
    ("ruleengine", "defocusdetector"): "event_blurred",
}
_VALUES = {
    **dict.fromkeys(("true", "on", "yes", "active"), True),
    **dict.fromkeys(("false", "off", "no", "inactive"), False),
}
_NO_STATE = ("level", "score", "time", "count", "sensitivity", "threshold")
"""Items whose number is no yes or no."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message.

    Attributes:
        topic: Its path in lower case without prefixes, for example
            ``("videosource", "signalloss")``.
        change: How a property changed; empty for an event that is no property.
        source: What it is about: the values of the source's items.
        values: Name and value of the data's items.
    """

    topic: tuple[str, ...]
    change: Change = ""
    source: frozenset[str] = frozenset()
    values: tuple[tuple[str, str], ...] = ()

    @property
    def fault(self) -> EventFault | None:
        """Which fault it speaks of; None when of none that is judged here."""
        subject, *rest = self.topic
        return _FAULTS.get((subject, rest[0])) if rest else None

    @property
    def on(self) -> bool:
        """Whether it says that the fault is there; a bare message does."""
        if self.change == "Deleted":
            return False
        told = [_told(value) for name, value in self.values if not name.endswith(_NO_STATE)]
        return next((each for each in told if each is not None), not self.values)


def read_notifications(document: Document) -> tuple[Notification, ...]:
    """Read the answer to PullMessages; what is no notification is passed over."""
    found: list[Notification] = []
    for element in document.root.every("NotificationMessage"):
        if len(found) == MAX_NOTIFICATIONS:
            break
        topic = _topic(element.value("Topic"))
        outer = element.find("Message")
        if topic and outer is not None:
            found.append(_notification(topic, outer.find("Message") or outer))
    return tuple(found)


def _notification(topic: tuple[str, ...], message: Element) -> Notification:
    change = message.attribute("PropertyOperation")
    return Notification(
        topic=topic,
        change=next((each for each in get_args(Change) if each == change), ""),
        source=frozenset(value for _, value in _items(message, "Source")),
        values=_items(message, "Data"),
    )


def _items(message: Element, part: str) -> tuple[tuple[str, str], ...]:
    found = message.find(part)
    if found is None:
        return ()
    items = (
        (item.attribute("Name").lower()[:MAX_TEXT], item.attribute("Value")[:MAX_TEXT])
        for item in found.every("SimpleItem")
    )
    return tuple(item for item, _ in zip(items, range(16), strict=False))


def _topic(text: str) -> tuple[str, ...]:
    """Return the steps of a topic; some end it with ``/.``, and the prefixes are anybody's."""
    steps = (step.rpartition(":")[2].strip().lower() for step in text[:MAX_TEXT].split("/"))
    return tuple(step for step in steps if step not in {"", "."})


def _told(value: str) -> bool | None:
    word = value.strip().lower()
    if word.isdecimal() and len(word) < 10:
        return int(word) > 0
    return _VALUES.get(word)
