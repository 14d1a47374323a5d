"""Alarms that the collector itself raises about an edge, on the road of every alarm. Pure."""

from __future__ import annotations

from typing import Literal

from gateway_core.model import Alarm

PROFILE = "edge"
"""Stands where a device's alarm names the device's profile."""

Rule = Literal["balance_wrong", "identity_doubled"]

_TEXTS: dict[Rule, dict[str, str]] = {
    "balance_wrong": {
        "zh": "边缘节点的日结账目有误",
        "en": "the daily balance of this edge does not add up",
    },
    "identity_doubled": {
        "zh": "两个边缘程序使用同一身份(磁盘被复制?)",
        "en": "two agents send under this edge's identity (was its disk copied?)",
    },
}


def edge_alarm(edge: str, rule: Rule, time: int, detail: str = "") -> Alarm:
    """Return an alarm about an edge, raised at ``time``."""
    text = {
        language: f"{said}: {detail}" if detail else said for language, said in _TEXTS[rule].items()
    }
    return Alarm(edge, edge, PROFILE, rule, "critical", "raised", time, text)
