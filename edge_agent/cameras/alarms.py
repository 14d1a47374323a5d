"""The patrol's own alarms: a parent lost, our network lost, too few feeds judged. Pure.

Invariants: an alarm is raised once and cleared once, also over a restart (`keep` says what to
remember, `recall` takes it up); many feeds that fail for one reason make one alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_agent.cameras.instant import Now
from edge_agent.cameras.parents import Parent, Parents
from edge_agent.cameras.settings import PatrolSettings
from gateway_core.model import Alarm, Severity

PREFIX = "camera/alarm/"
"""Of the keys in the spool's state; rule and device follow."""
PARENT_LOST = "camera_parent_lost"
NETWORK_LOST = "camera_network_lost"
COVERAGE_LOW = "camera_coverage_low"
NETWORK = "camera-network"
"""What the alarm on our own network is about."""
PATROL = "camera-patrol"
"""What the alarm on coverage is about."""
SHORT_SWEEPS = 2
"""Coverage must be below 1 for so long without a break."""
SETTLE_S = 10.0
"""A lost parent is told after this time, unless a wider one was found lost meanwhile."""
_MAX_NAME = 200

_SEVERITIES: dict[str, Severity] = {
    PARENT_LOST: "critical",
    NETWORK_LOST: "critical",
    COVERAGE_LOW: "major",
}


class PatrolAlarms:
    """Which of the alarms stand.

    Args:
        edge: The edge's id.
        settings: Gives the sweep.
    """

    def __init__(self, edge: str, settings: PatrolSettings) -> None:
        self._edge = edge
        self._settle_s = min(SETTLE_S, settings.sweep_s / 4)
        self._short_s = SHORT_SWEEPS * settings.sweep_s
        self._short_since: float | None = None
        self._standing: set[tuple[str, str]] = set()

    def recall(self, state: Mapping[str, bytes]) -> list[str]:
        """Take up what stood before a restart; return the parents that were lost then."""
        for key in state:
            if key.startswith(PREFIX):
                rule, _, device = key.removeprefix(PREFIX).partition("/")
                self._standing.add((rule, device))
        return [device for rule, device in self._standing if rule == PARENT_LOST]

    def look(
        self, parents: Parents, *, network_down: bool, coverage: float | None, now: Now
    ) -> Iterator[Alarm]:
        """Yield the alarms that begin or end now.

        Args:
            parents: As the looks have left them.
            network_down: Whether nobody at all is reached.
            coverage: Share of feeds judged within the last sweep; None without feeds.
            now: When.
        """
        yield from self._set((NETWORK_LOST, NETWORK), now, _NETWORK_TEXT, on=network_down)
        yield from self._parents(parents, now, network_down=network_down)
        if coverage is None or coverage >= 1:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = now.steady
        since = self._short_since
        short = since is not None and now.steady - since >= self._short_s
        text = _coverage_text(coverage or 0.0)
        yield from self._set((COVERAGE_LOW, PATROL), now, text, on=short)

    def keep(self, alarm: Alarm) -> tuple[str, bytes | None]:
        """Return the key and value that make `recall` know of this alarm."""
        raised = alarm.state == "raised"
        return f"{PREFIX}{alarm.rule}/{alarm.device}", b"1" if raised else None

    def _parents(self, parents: Parents, now: Now, *, network_down: bool) -> Iterator[Alarm]:
        lost = {device_of(each) for each in parents.all_lost()}
        for rule, device in sorted(self._standing):
            if rule == PARENT_LOST and device not in lost:
                yield from self._set((rule, device), now, {}, on=False)
        if network_down:
            return  # while nobody is reached, nothing is known of any parent
        for parent in parents.outermost():
            if parent.lost_at is not None and now.steady - parent.lost_at >= self._settle_s:
                text = _parent_text(parent)
                yield from self._set((PARENT_LOST, device_of(parent)), now, text, on=True)

    def _set(
        self, name: tuple[str, str], now: Now, text: dict[str, str], *, on: bool
    ) -> Iterator[Alarm]:
        if on == (name in self._standing):
            return
        if on:
            self._standing.add(name)
        else:
            self._standing.discard(name)
        rule, device = name
        yield Alarm(
            edge=self._edge,
            device=device,
            profile="camera",
            rule=rule,
            severity=_SEVERITIES[rule],
            state="raised" if on else "cleared",
            time=now.wall,
            text=text if on else {},
        )


def device_of(parent: Parent) -> str:
    """Return what a parent is called in alarms; long names of groups are cut."""
    return "".join(char for char in parent.label if char.isprintable())[:_MAX_NAME]


_NETWORK_TEXT = {
    "en": "No camera is reached: the fault is most likely between this edge and the cameras",
    "zh": "所有摄像机均无法连接:故障很可能在本边缘节点与摄像机之间的网络",
}


def _parent_text(parent: Parent) -> dict[str, str]:
    count = len(parent.feeds)
    what = {"group": ("Group", "分组"), "nvr": ("Recorder", "录像机"), "net": ("Subnet", "网段")}
    en, zh = what[parent.kind]
    return {
        "en": f"{en} {parent.name}: none of its {count} feeds answers",
        "zh": f"{zh} {parent.name}:{count} 路视频均无应答",
    }


def _coverage_text(coverage: float) -> dict[str, str]:
    share = f"{100 * coverage:.1f} %"
    return {
        "en": f"Only {share} of the feeds were judged within the last sweep",
        "zh": f"上一轮巡检仅覆盖 {share} 的视频",
    }
