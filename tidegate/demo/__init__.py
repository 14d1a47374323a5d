"""``tidegate demo``: a whole city on this machine, and the proof that nothing of it got lost."""

from tidegate.demo.command import demo

__all__ = ["demo"]
