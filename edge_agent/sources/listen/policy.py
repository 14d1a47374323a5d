"""What a client may publish and hear: its own, and nothing else. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

DEVICE = "{device}"


class Policy:
    """The rights of whoever is connected.

    A client that proved who it is may use topics that name it: where patterns are given, those
    with its identity in place of ``{device}``; else every topic one level of which is its
    identity. Who is anonymous may publish to every topic that does not begin with ``$``. Clients
    that share a key choose their identity: one that is not a single level of a topic (``+``,
    ``a/b``) has no right to any, because it would fill a pattern with the topics of others.

    Args:
        publish: Patterns of topics, MQTT filters with ``{device}``; empty: as above.
        hear: Likewise, for subscriptions.
    """

    def __init__(self, publish: Sequence[str] = (), hear: Sequence[str] = ()) -> None:
        self._publish = tuple(publish)
        self._hear = tuple(hear)

    def may_publish(self, identity: str | None, topic: str) -> bool:
        """Return whether a client may publish to a topic; ``identity`` is None for anonymous."""
        if topic.startswith("$"):
            return False
        if identity is None:
            return True
        if not _is_level(identity):
            return False
        if not self._publish:
            return identity in topic.split("/")
        return any(matches(_filled(each, identity), topic) for each in self._publish)

    def may_hear(self, client: str, pattern: str) -> bool:
        """Return whether a client may subscribe to a filter.

        Args:
            client: Its identity; the client id of an anonymous one.
            pattern: The filter.
        """
        if pattern.startswith("$") or not _is_level(client):
            return False
        if not self._hear:
            levels = pattern.split("/")
            wild = [at for at, level in enumerate(levels) if level in ("+", "#")]
            return client in levels and (not wild or levels.index(client) < wild[0])
        return any(covers(_filled(each, client), pattern) for each in self._hear)


def _is_level(identity: str) -> bool:
    return re.fullmatch(r"[^+#/]+", identity) is not None


def _filled(pattern: str, identity: str) -> str:
    return "/".join(identity if level == DEVICE else level for level in pattern.split("/"))


def matches(pattern: str, topic: str) -> bool:
    """Return whether a topic is one of a filter's (MQTT 5.0 section 4.7)."""
    return covers(pattern, topic)


def covers(pattern: str, narrower: str) -> bool:
    """Return whether every topic of a filter (or a topic) is one of another filter's."""
    ours, theirs = pattern.split("/"), narrower.split("/")
    for at, level in enumerate(ours):
        if level == "#":
            return True
        if at >= len(theirs) or theirs[at] == "#":
            return False
        if level not in ("+", theirs[at]):
            return False
    return len(ours) == len(theirs)


def wrong_topic(topic: str) -> str | None:
    """Return what is wrong with a topic to publish to, or None."""
    if not topic:
        return "an empty topic"
    return "a topic with a wildcard" if re.search("[+#]", topic) else None


def wrong_filter(pattern: str) -> str | None:
    """Return what is wrong with a topic filter, or None."""
    levels = pattern.split("/")
    if not pattern:
        return "an empty filter"
    if "#" in pattern and (levels[-1] != "#" or pattern.count("#") > 1):
        return "# stands alone in the last level"
    if any("+" in level and level != "+" for level in levels):
        return "+ stands alone in its level"
    return None
